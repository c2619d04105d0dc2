//! Cost against the 95th percentile of waits, drawn without script: for the designs of a comparison and the points of
//! a sweep.

use std::fmt::Write as _;

use super::markup::escape;
use crate::experiment::DesignResult;
use crate::report::Context;
use crate::report::figures::{count, span};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 46.0;

/// Most ticks of an axis.
const TICKS: f64 = 6.0;

/// A point of the plane.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct Dot {
    /// Cost, and 95th percentile of waits in seconds.
    pub(in crate::report) at: (f64, f64),
    /// Bounds of the cost and of the wait, where replicas give them.
    pub(in crate::report) bounds: [Option<(f64, f64)>; 2],
    /// Number of its colour.
    pub(in crate::report) colour: usize,
    /// Whether nothing beats it in both.
    pub(in crate::report) front: bool,
    /// Told on hover.
    pub(in crate::report) words: String,
}

/// The distance of ticks up to `most`: 1, 2 or 5 times a power of ten.
fn round_step(most: f64) -> f64 {
    let rough = (most / TICKS).max(1e-12);
    let power = libm::pow(10.0, libm::floor(libm::log10(rough)));
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= rough).unwrap_or(10.0 * power)
}

/// The same for seconds: steps that people count time in.
fn time_step(most_s: f64) -> f64 {
    const STEPS_S: [f64; 17] = [
        1.0,
        5.0,
        15.0,
        60.0,
        300.0,
        900.0,
        1_800.0,
        3_600.0,
        7_200.0,
        14_400.0,
        21_600.0,
        43_200.0,
        86_400.0,
        172_800.0,
        432_000.0,
        864_000.0,
        1_728_000.0,
    ];
    STEPS_S.into_iter().find(|step| most_s / step <= TICKS).unwrap_or_else(|| round_step(most_s))
}

/// Multiples of `step` from zero to `most`.
fn ticks(step: f64, most: f64) -> impl Iterator<Item = f64> {
    (0..).map(move |n| f64::from(n) * step).take_while(move |tick| *tick <= most)
}

/// Adds the drawing of these dots.
pub(in crate::report) fn scatter(html: &mut String, dots: &[Dot], currency: &str) {
    let reach = |axis: usize, of: fn(&(f64, f64)) -> f64| {
        let most = |dot: &Dot| of(&dot.at).max(dot.bounds[axis].map_or(0.0, |bounds| bounds.1));
        // An interval that goes far beyond all figures does not push them into a corner.
        let figures = dots.iter().map(|dot| of(&dot.at)).fold(0.0, f64::max);
        dots.iter().map(most).fold(0.0, f64::max).min(figures * 1.6).max(1e-9) * 1.05
    };
    let (most_x, most_y) = (reach(0, |at| at.0), reach(1, |at| at.1));
    let x = |cost: f64| LEFT + (WIDTH - LEFT - RIGHT) * (cost / most_x).clamp(0.0, 1.0);
    let y = |wait: f64| (HEIGHT - BOTTOM) - (HEIGHT - BOTTOM - TOP) * (wait / most_y).clamp(0.0, 1.0);
    write!(
        html,
        "<div class=\"chart\"><svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Cost against wait\">"
    )
    .expect("texts take writes");
    for tick in ticks(time_step(most_y), most_y) {
        write!(
            html,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{0}\" y1=\"{1:.1}\" y2=\"{1:.1}\"></line>\
             <text class=\"soft\" x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
            WIDTH - RIGHT,
            y(tick),
            LEFT - 8.0,
            y(tick) + 4.0,
            span(tick).replace(".0 ", " "),
        )
        .expect("texts take writes");
    }
    let step = round_step(most_x);
    for tick in ticks(step, most_x) {
        let text = if step < 1.0 { format!("{tick:.2}") } else { count(tick.round() as u64) };
        write!(
            html,
            "<text class=\"soft\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
            x(tick),
            HEIGHT - BOTTOM + 18.0
        )
        .expect("texts take writes");
    }
    write!(
        html,
        "<text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"end\">Cost, {}</text>",
        WIDTH - RIGHT,
        HEIGHT - 8.0,
        escape(currency)
    )
    .expect("texts take writes");
    dots.iter().for_each(|dot| draw(html, dot, &x, &y));
    html.push_str("</svg></div>\n");
}

fn draw(html: &mut String, dot: &Dot, x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) {
    let colour = dot.colour % 8;
    let (cx, cy) = (x(dot.at.0), y(dot.at.1));
    let mut bar = |x1: f64, x2: f64, y1: f64, y2: f64| {
        write!(
            html,
            "<line x1=\"{x1:.1}\" x2=\"{x2:.1}\" y1=\"{y1:.1}\" y2=\"{y2:.1}\" stroke=\"var(--d{colour})\" opacity=\"0.6\"></line>"
        )
        .expect("texts take writes");
    };
    if let Some((low, high)) = dot.bounds[0] {
        bar(x(low), x(high), cy, cy);
    }
    if let Some((low, high)) = dot.bounds[1] {
        bar(cx, cx, y(low), y(high));
    }
    let fill = if dot.front { format!("var(--d{colour})") } else { "var(--paper)".to_owned() };
    write!(
        html,
        "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"5\" fill=\"{fill}\" stroke=\"var(--d{colour})\" stroke-width=\"1.5\"><title>{}</title></circle>",
        escape(&dot.words)
    )
    .expect("texts take writes");
}

/// The designs of a comparison; nothing where fewer than two have a cost and waits.
pub(super) fn designs(html: &mut String, context: &Context<'_>) {
    let dots: Vec<Dot> =
        context.results.iter().enumerate().filter_map(|(at, result)| dot(context, at, result)).collect();
    if dots.len() < 2 {
        return;
    }
    let currency = context.results.iter().find_map(|result| Some(result.cost.as_ref()?.currency.code()));
    html.push_str(
        "<section id=\"pareto\">\n<h2>Cost against wait</h2>\n<p class=\"what\">Across: cost over the horizon; up: 95th \
         percentile of waits; lines are intervals. A full dot: no other design is cheaper and has a shorter one, with at \
         least as many jobs completed.</p>\n",
    );
    scatter(html, &dots, currency.unwrap_or(""));
    html.push_str("<ul class=\"legend\">");
    for (at, result) in context.results.iter().enumerate().filter(|(_, result)| plane(result).is_some()) {
        write!(html, "<li><i class=\"key k{}\"></i>{}</li>", at % 8, escape(&result.design.label))
            .expect("texts take writes");
    }
    html.push_str("</ul>\n</section>\n");
}

fn plane(result: &DesignResult) -> Option<(f64, f64)> {
    Some((result.cost.as_ref()?.total.as_units(), result.summary.wait_s.p95?))
}

fn dot(context: &Context<'_>, colour: usize, result: &DesignResult) -> Option<Dot> {
    let at = plane(result)?;
    let jobs = result.summary.jobs.completed;
    let beaten = context.results.iter().filter(|other| other.summary.jobs.completed >= jobs).any(|other| {
        plane(other).is_some_and(|(cost, wait)| cost <= at.0 && wait <= at.1 && (cost < at.0 || wait < at.1))
    });
    let bounds = |key: &str| {
        let found = result.uncertainty.as_ref()?.figures.get(key)?;
        found.low.zip(found.high)
    };
    let code = result.cost.as_ref()?.currency.code();
    Some(Dot {
        at,
        bounds: [bounds("cost.total"), bounds("wait_s.p95")],
        colour,
        front: !beaten,
        words: format!(
            "{}: {} {code}, 95th percentile of waits {}, {} jobs completed",
            result.design.label,
            count(at.0.max(0.0).round() as u64),
            span(at.1),
            count(jobs)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(round_step(16_450.0), 5_000.0);
        assert_eq!(round_step(0.9), 0.2);
        assert_eq!(time_step(150_000.0), 43_200.0);
        assert_eq!(ticks(2.0, 6.0).collect::<Vec<_>>(), [0.0, 2.0, 4.0, 6.0]);
    }
}
