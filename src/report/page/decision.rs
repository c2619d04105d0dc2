//! The verdict's surroundings: what would change it, money over the years, growth, assumptions, who pays.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::markup::{escape, short};
use crate::experiment::outlook::Outlook;
use crate::experiment::pricing::showback;
use crate::money::Money;
use crate::report::Context;
use crate::report::figures::{count, percent};
use crate::report::verdict::{currency, flip_lines, readable, signed, value_of, words_of};

/// Lines on the first screen; all of them are further down.
const FLIPS: usize = 5;

/// Users and accounts that are listed.
const CHARGED: usize = 30;

fn outlook<'a>(context: &Context<'a>) -> Option<&'a Outlook> {
    context.decision.and_then(|decision| decision.outlook.as_ref())
}

/// What would change the verdict, for the first screen.
pub(super) fn flips(html: &mut String, context: &Context<'_>) {
    let Some(outlook) = outlook(context) else { return };
    let lines = flip_lines(context, outlook);
    if lines.is_empty() {
        return;
    }
    html.push_str("<h2>What would change this verdict</h2>\n<ul class=\"flips\">\n");
    for line in lines.iter().take(FLIPS) {
        writeln!(html, "<li>{}</li>", escape(line)).expect("texts take writes");
    }
    if lines.len() > FLIPS {
        writeln!(html, "<li><a href=\"#outlook\">{} more</a></li>", lines.len() - FLIPS)
            .expect("texts take writes");
    }
    html.push_str("</ul>\n");
}

/// The section below the first screen.
pub(super) fn section(html: &mut String, context: &Context<'_>) {
    let Some(outlook) = outlook(context) else { return };
    html.push_str("<section id=\"outlook\">\n<h2>How long the answer holds</h2>\n");
    flow_table(html, context, outlook);
    growth_table(html, context, outlook);
    let rest = flip_lines(context, outlook);
    if rest.len() > FLIPS {
        html.push_str("<h3>What would change the verdict</h3>\n<ul class=\"flips\">\n");
        for line in &rest {
            writeln!(html, "<li>{}</li>", escape(line)).expect("texts take writes");
        }
        html.push_str("</ul>\n");
    }
    if !outlook.swings.is_empty() {
        html.push_str(
            "<h3>Assumptions that matter most</h3>\n<p class=\"what\">The chosen design's decisive figure at the low \
             and at the high value of each assumption, everything else as it is.</p>\n\
             <div class=\"chart\" data-chart=\"tornado\"></div>\n",
        );
        swing_table(html, context, outlook);
    }
    html.push_str("</section>\n");
}

fn head(html: &mut String, columns: &[(&str, &str)]) {
    html.push_str("<div class=\"scroll\" tabindex=\"0\"><table class=\"plain\">\n<thead><tr>");
    for (name, what) in columns {
        write!(html, "<th scope=\"col\" class=\"number\" title=\"{}\">{}</th>", escape(what), escape(name))
            .expect("texts take writes");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
}

fn cell(html: &mut String, text: &str) {
    write!(html, "<td class=\"number\">{}</td>", escape(text)).expect("texts take writes");
}

fn flow_table(html: &mut String, context: &Context<'_>, outlook: &Outlook) {
    let Some(flows) = outlook.flows.as_ref().filter(|flows| !flows.is_empty()) else { return };
    html.push_str(
        "<h3>Money over the plan</h3>\n<p class=\"what\">What is paid in each year, as the horizon's bill goes on; purchases \
         in their month of payment, and again when their lifetime is over. What they are worth at the end comes \
         back in the last year.</p>\n",
    );
    let years = flows.iter().map(|flow| flow.years.len()).max().unwrap_or(0);
    let names: Vec<String> = (1..=years).map(|year| format!("Year {year}")).collect();
    let mut columns = vec![("Design", "")];
    columns.extend(names.iter().map(|name| (name.as_str(), "Paid in the year.")));
    columns.extend([
        ("Sum", "All years."),
        ("Present value", "The sum, later money counting less by the plan's rate."),
        ("Against baseline", "Present value less that of the baseline."),
        ("Payback", "Months after which less has been paid than for the baseline."),
    ]);
    head(html, &columns);
    for flow in flows {
        let result = context.results.iter().find(|result| result.design.name == flow.design);
        let label = result.map_or(flow.design.as_str(), |result| result.design.label.as_str());
        write!(html, "<tr><th scope=\"row\">{}</th>", escape(label)).expect("texts take writes");
        let money = |amount: f64| signed(amount, &flow.currency);
        flow.years.iter().for_each(|year| cell(html, &money(*year)));
        (flow.years.len()..years).for_each(|_| cell(html, "-"));
        cell(html, &money(flow.total));
        cell(html, &flow.present_value.map_or("-".to_owned(), money));
        cell(html, &flow.present_value_against_baseline.map_or("baseline".to_owned(), money));
        let payback = match (flow.present_value_against_baseline, flow.payback_months) {
            (None, _) => "-".to_owned(),
            (Some(_), Some(0)) => "at once".to_owned(),
            (Some(_), Some(months)) => format!("{months} months"),
            (Some(_), None) => "not in the plan".to_owned(),
        };
        cell(html, &payback);
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>\n");
}

fn growth_table(html: &mut String, context: &Context<'_>, outlook: &Outlook) {
    let Some(growth) = &outlook.growth else { return };
    html.push_str(
        "<h3>When growth makes a design miss the objective</h3>\n<p class=\"what\">The same jobs, arriving faster by the \
         plan's growth, simulated for the months in question; a pool counts from its delivery.</p>\n",
    );
    head(
        html,
        &[
            ("Design", ""),
            ("There from month", "Delivery of its first pool."),
            ("Misses in month", "Months after the start of the plan."),
            ("Load", "Relative to now."),
            ("Misses", ""),
        ],
    );
    for miss in growth {
        let result = context.results.iter().find(|result| result.design.name == miss.design);
        let label = result.map_or(miss.design.as_str(), |result| result.design.label.as_str());
        write!(html, "<tr><th scope=\"row\">{}</th>", escape(label)).expect("texts take writes");
        cell(html, &miss.delivered_month.map_or("not in the plan".to_owned(), |month| month.to_string()));
        cell(html, &miss.month.map_or("never".to_owned(), |month| month.to_string()));
        cell(html, &miss.load.map_or("-".to_owned(), |load| format!("{load:.2}")));
        cell(html, miss.condition.as_deref().unwrap_or("-"));
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>\n");
}

fn swing_table(html: &mut String, context: &Context<'_>, outlook: &Outlook) {
    let key = context.scenario.objective.as_ref().map_or("", |objective| objective.minimize.as_str());
    let code = currency(context);
    let name = words_of(key);
    let (low, high) = (format!("{name} at low"), format!("{name} at high"));
    head(
        html,
        &[
            ("Assumption", ""),
            ("Low", ""),
            ("Now", ""),
            ("High", ""),
            (&low, ""),
            (&high, ""),
            ("Verdict", "Whether another design would be chosen."),
            ("Source", ""),
        ],
    );
    for swing in &outlook.swings {
        write!(
            html,
            "<tr><th scope=\"row\" title=\"{}\">{}</th>",
            escape(&swing.settings.join(", ")),
            escape(&swing.assumption)
        )
        .expect("texts take writes");
        swing.values.iter().for_each(|value| cell(html, &readable(value)));
        for end in 0..2 {
            cell(html, &swing.figure.map_or("-".to_owned(), |figure| value_of(key, figure[end], code)));
        }
        cell(html, if swing.flips { "flips" } else { "stands" });
        writeln!(html, "<td class=\"source\">{}</td></tr>", escape(&swing.source))
            .expect("texts take writes");
    }
    html.push_str("</tbody>\n</table></div>\n");
}

/// The assumptions for the chart; null where there is none with a figure.
pub(super) fn tornado(context: &Context<'_>) -> Value {
    let (Some(outlook), Some(decision)) = (outlook(context), context.decision) else { return Value::Null };
    let Some(judgement) = &decision.judgement else { return Value::Null };
    let subject = judgement.chosen().or(judgement.designs.first());
    let now = subject.and_then(|judged| judged.decisive);
    let (key, code) = (judgement.minimize.as_str(), currency(context));
    let rows: Vec<Value> = outlook
        .swings
        .iter()
        .filter_map(|swing| {
            let [low, high] = swing.figure?;
            Some(json!({
                "name": swing.assumption, "low": short(low), "high": short(high), "flips": swing.flips,
                "texts": [value_of(key, low, code), value_of(key, high, code)],
                "values": swing.values.each_ref().map(|value| readable(value)),
            }))
        })
        .collect();
    match now {
        Some(now) if !rows.is_empty() => {
            json!({ "figure": words_of(key), "now": short(now), "text": value_of(key, now, code), "rows": rows })
        }
        _ => Value::Null,
    }
}

/// The total in other views: four parts, and who is charged.
pub(super) fn views(html: &mut String, context: &Context<'_>) {
    four_parts(html, context);
    charged(html, context);
}

fn design_columns(html: &mut String, context: &Context<'_>, first: &str) {
    let labels: Vec<(&str, &str)> = std::iter::once((first, ""))
        .chain(context.results.iter().map(|result| (result.design.label.as_str(), "")))
        .collect();
    head(html, &labels);
}

fn four_parts(html: &mut String, context: &Context<'_>) {
    html.push_str(
        "<details open><summary>In four parts: hardware at work, licences, overheads, idle hours</summary>\n",
    );
    design_columns(html, context, "Part of the cost");
    type Pick = fn(&crate::cost::FourParts) -> Money;
    let rows: [(&str, &str, Pick); 4] = [
        ("Hardware at work", "All but licences, for the hours in which devices did work.", |parts| {
            parts.at_work
        }),
        ("Licences", "Hypervisors, vGPU software and the like.", |parts| parts.licences),
        (
            "Overhead hours",
            "Hours lost to virtualization, neighbours, communication, slack, storage, repeated work, start-up.",
            |parts| parts.overhead,
        ),
        ("Idle hours", "Hours free, or held and not used.", |parts| parts.idle),
    ];
    for (name, what, pick) in rows {
        write!(html, "<tr><th scope=\"row\" title=\"{}\">{name}</th>", escape(what))
            .expect("texts take writes");
        for result in context.results {
            let text = result.cost.as_ref().map(|cost| {
                let (part, whole) = (pick(&cost.four_parts).as_units(), cost.total.as_units());
                let share = if whole > 0.0 { percent(part / whole) } else { "-".to_owned() };
                format!("{} {} ({share})", count(part.max(0.0).round() as u64), cost.currency)
            });
            cell(html, text.as_deref().unwrap_or("-"));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div></details>\n");
}

/// Users and accounts, those charged most first.
fn charged(html: &mut String, context: &Context<'_>) {
    let all: Vec<_> =
        context.results.iter().map(|result| showback(&context.loaded.workload, result)).collect();
    for (title, of_users) in [("Users", true), ("Accounts", false)] {
        let rows = |at: usize| -> &[(String, Money)] {
            all[at].as_ref().map_or(&[], |found| if of_users { &found.users } else { &found.accounts })
        };
        let most = |name: &str| {
            let amounts = (0..all.len()).filter_map(|at| rows(at).iter().find(|(known, _)| known == name));
            amounts.map(|(_, amount)| *amount).max().unwrap_or(Money::ZERO)
        };
        let mut names: Vec<&str> =
            (0..all.len()).flat_map(|at| rows(at).iter().map(|(name, _)| name.as_str())).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            continue;
        }
        names.sort_by_key(|name| std::cmp::Reverse(most(name)));
        writeln!(
            html,
            "<details><summary>{title}: who held what was paid for</summary>\n<p class=\"what\">Device time asked for and run, at \
             the cost of an installed hour; free time is nobody's. The rows sum to the total.</p>"
        )
        .expect("texts take writes");
        design_columns(html, context, title);
        for name in names.iter().take(CHARGED) {
            write!(html, "<tr><th scope=\"row\">{}</th>", escape(name)).expect("texts take writes");
            for at in 0..all.len() {
                let amount =
                    rows(at).iter().find(|(known, _)| known == name).map(|(_, amount)| amount.as_units());
                cell(html, &amount.map_or("-".to_owned(), |amount| format!("{amount:.2}")));
            }
            html.push_str("</tr>\n");
        }
        if names.len() > CHARGED {
            write!(html, "<tr><th scope=\"row\">and {} more</th>", names.len() - CHARGED)
                .expect("texts take writes");
            for at in 0..all.len() {
                let rest: f64 = names[CHARGED..]
                    .iter()
                    .filter_map(|name| rows(at).iter().find(|(known, _)| known == name))
                    .map(|(_, amount)| amount.as_units())
                    .sum();
                cell(html, &format!("{rest:.2}"));
            }
            html.push_str("</tr>\n");
        }
        html.push_str("<tr class=\"total\"><th scope=\"row\">Nobody's</th>");
        for found in &all {
            let rest = found.as_ref().map(|found| found.rest[usize::from(!of_users)].as_units());
            cell(html, &rest.map_or("-".to_owned(), |rest| format!("{rest:.2}")));
        }
        html.push_str("</tr>\n</tbody>\n</table></div></details>\n");
    }
}
