//! Text made safe for HTML, and JSON made safe for a script element.

use std::fmt::Write as _;

use serde_json::Value;

/// `text` for element content and quoted attributes. Control characters, which HTML forbids, become
/// U+FFFD.
pub(in crate::report) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(character),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// `value` as JSON that cannot end the script element around it.
pub(super) fn script_json(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// A number with at most two decimals; whole ones without point. Charts need no more, and the page
/// stays small.
pub(super) fn short(value: f64) -> Value {
    let rounded = (value * 100.0).round() / 100.0;
    if rounded.fract() == 0.0 && rounded.abs() < 9e15 {
        Value::from(rounded as i64)
    } else {
        Value::from(rounded)
    }
}

/// [`short`] of a figure that may be undefined.
pub(super) fn short_or_null(value: Option<f64>) -> Value {
    value.map_or(Value::Null, short)
}

/// A row of a description list.
pub(super) fn described(html: &mut String, term: &str, definition: &str) {
    writeln!(html, "<dt>{}</dt><dd>{}</dd>", escape(term), escape(definition)).expect("texts take writes");
}

/// The last part of a path: pages name files, never where they are.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_gets_out_of_its_element() {
        assert_eq!(
            escape("<b a=\"1\" b='2'>&\u{1b}"),
            "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;\u{fffd}"
        );
        let hostile = json!({ "x": "</script><script>alert(1)</script><!--" });
        let safe = script_json(&hostile);
        assert!(!safe.contains('<'), "{safe}");
        assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), hostile);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(12.0).to_string(), "12");
        assert_eq!(short(1.0 / 3.0).to_string(), "0.33");
        assert_eq!(short_or_null(None), Value::Null);
    }

    #[test]
    fn paths_are_not_shown() {
        assert_eq!(file_name("/data/ada/traces/a.csv"), "a.csv");
        assert_eq!(file_name("C:\\traces\\a.csv"), "a.csv");
        assert_eq!(file_name("a.csv"), "a.csv");
    }
}
