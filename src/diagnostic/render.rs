//! Diagnostics as text in the compiler's own style.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Place, Severity};

/// The diagnostic as lines of text; with terminal colours if `colour`.
#[must_use]
pub fn render(diagnostic: &Diagnostic, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let level = match diagnostic.severity {
        Severity::Note => Level::NOTE,
        Severity::Warning => Level::WARNING,
        Severity::Error => Level::ERROR,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code.0);
    let mut report: Vec<Group<'_>> = Vec::new();
    let streamed = streamed_place(diagnostic);
    match &diagnostic.place {
        Place::Span { source, range } => {
            report.push(
                title.element(Snippet::source(source.text.as_str()).path(source.name.as_str()).annotation(
                    AnnotationKind::Primary.span(range.clone()).label(diagnostic.label.as_str()),
                )),
            )
        }
        _ => report.push(Group::with_title(title)),
    }
    let mut text = renderer.render(&report);
    if let Some(place) = streamed {
        text.push('\n');
        text.push_str(&place);
    }
    if let Some(help) = &diagnostic.help {
        text.push_str("\n  = help: ");
        text.push_str(help);
    }
    text
}

/// `  --> file:line:column` and the offending text, for files that are not held in memory.
fn streamed_place(diagnostic: &Diagnostic) -> Option<String> {
    let why =
        if diagnostic.label.is_empty() { String::new() } else { format!("\n  = why: {}", diagnostic.label) };
    match &diagnostic.place {
        Place::Nowhere if why.is_empty() => None,
        Place::Nowhere => Some(why.trim_start_matches('\n').to_owned()),
        Place::File(file) => Some(format!("  --> {file}{why}")),
        Place::Line { file, line, column, text } => {
            let column = if *column == 0 { String::new() } else { format!(":{column}") };
            let gutter = " ".repeat(line.to_string().len());
            Some(format!("{gutter}--> {file}:{line}{column}\n{gutter} |\n{line} | {text}{why}"))
        }
        Place::Span { .. } => None,
    }
}
