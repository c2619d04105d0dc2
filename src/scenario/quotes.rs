//! `quotes.csv`: line items of vendors' quotes.
//!
//! Required columns: `what, count, unit_price, kind`. Optional: `quote` (which quote the line is of; default
//! `quote`), `currency` (default USD), `payment_date`, `delivery_date` (`YYYY-MM` or `YYYY-MM-DD`),
//! `term_months` (how long a recurring line is owed), `note`. Kinds: `capital`, `yearly`, `monthly`, `hourly`.
//!
//! A line whose `what` is the node of a pool is the price of that pool; every other line is one of the design.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Diagnostics, Place, nearest};
use crate::money::{Currency, Money};

/// A line item.
#[derive(Clone, Debug, PartialEq)]
pub struct QuoteLine {
    /// The quote that it is of.
    pub quote: String,
    /// What is sold: a node of the scenario or the catalogue, or anything else.
    pub what: String,
    /// How many.
    pub count: u32,
    /// Price of one.
    pub unit_price: f64,
    /// Currency.
    pub currency: Currency,
    /// How it is paid.
    pub kind: QuoteKind,
    /// Month of payment, counted from year 0.
    pub payment: Option<u32>,
    /// Month of delivery, counted from year 0.
    pub delivery: Option<u32>,
    /// Months for which a recurring line is owed.
    pub term_months: u32,
    /// Line of the file, for messages.
    pub line: u64,
}

/// How a line is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuoteKind {
    /// Once.
    Capital,
    /// Every year.
    Yearly,
    /// Every month.
    Monthly,
    /// Every hour.
    Hourly,
}

const COLUMNS: [&str; 10] = [
    "quote",
    "what",
    "count",
    "unit_price",
    "currency",
    "kind",
    "payment_date",
    "delivery_date",
    "term_months",
    "note",
];
const REQUIRED: [&str; 4] = ["what", "count", "unit_price", "kind"];

/// The month `YYYY-MM` (a day may follow), counted from year 0.
#[must_use]
pub fn month_of(text: &str) -> Option<u32> {
    let mut parts = text.trim().splitn(3, '-');
    let year: u32 = parts.next().filter(|year| year.len() == 4)?.parse().ok()?;
    let month: u32 = parts.next().filter(|month| month.len() == 2)?.parse().ok()?;
    let day_is_fine = parts
        .next()
        .is_none_or(|day| day.len() == 2 && day.parse::<u32>().is_ok_and(|d| (1..=31).contains(&d)));
    ((1..=12).contains(&month) && day_is_fine).then(|| year * 12 + month - 1)
}

/// Reads the lines of a file of quotes.
///
/// # Errors
/// W0260 for a file or rows that cannot be used, all together.
pub fn read_quotes(path: &Path) -> Result<Vec<QuoteLine>, Diagnostics> {
    let file = path.display().to_string();
    let mut problems = Diagnostics::default();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot read the quotes `{file}`: {error}");
            problems.push(Diagnostic::error("W0260", message).help(format!(
                "a CSV file with the columns {}; `finance.quotes` is relative to the scenario",
                COLUMNS.join(", ")
            )));
            return Err(problems);
        }
    };
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let headers: Vec<String> =
        reader.headers().map(|row| row.iter().map(str::to_owned).collect()).unwrap_or_default();
    header(&headers, &file, &text, &mut problems);
    let mut lines = Vec::new();
    if problems.errors() == 0 {
        for record in reader.records() {
            let at = |line: u64, column: u64| Place::Line {
                file: file.as_str().into(),
                line,
                column,
                text: text.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default().to_owned(),
            };
            match record {
                Ok(record) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    let cell = |name: &str| {
                        let at = headers.iter().position(|header| header == name)?;
                        record.get(at).filter(|cell| !cell.is_empty())
                    };
                    match row(&cell, line) {
                        Ok(row) => lines.push(row),
                        Err((message, help)) => {
                            problems.push(Diagnostic::error("W0260", message).at(at(line, 1)).help(help));
                        }
                    }
                }
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    problems.push(Diagnostic::error("W0260", error.to_string()).at(at(line, 1)));
                }
            }
        }
        if lines.is_empty() && problems.errors() == 0 {
            problems.push(Diagnostic::error("W0260", format!("the quotes `{file}` hold no line")));
        }
    }
    if problems.errors() > 0 { Err(problems) } else { Ok(lines) }
}

fn header(headers: &[String], file: &str, text: &str, problems: &mut Diagnostics) {
    let place = || Place::Line {
        file: file.into(),
        line: 1,
        column: 1,
        text: text.lines().next().unwrap_or("").to_owned(),
    };
    for name in headers.iter().filter(|name| !COLUMNS.contains(&name.as_str())) {
        let help = match nearest(name, COLUMNS) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("columns: {}", COLUMNS.join(", ")),
        };
        let message = format!("quotes have no column `{name}`");
        problems.push(Diagnostic::error("W0260", message).at(place()).help(help));
    }
    for name in REQUIRED.iter().filter(|name| !headers.iter().any(|header| header == **name)) {
        let message = format!("the quotes need the column `{name}`");
        let help = format!("columns: {}; required: {}", COLUMNS.join(", "), REQUIRED.join(", "));
        problems.push(Diagnostic::error("W0260", message).at(place()).help(help));
    }
}

/// A row; else what is wrong and what to write.
fn row<'r>(cell: &dyn Fn(&str) -> Option<&'r str>, line: u64) -> Result<QuoteLine, (String, String)> {
    let needed = |name: &str| {
        cell(name).ok_or_else(|| (format!("`{name}` is empty"), "every line needs it".to_owned()))
    };
    let wrong =
        |name: &str, found: &str, help: &str| (format!("`{name}` cannot be `{found}`"), help.to_owned());
    let count = needed("count")?;
    let price = needed("unit_price")?;
    let kind = needed("kind")?;
    let currency = cell("currency").unwrap_or("USD");
    let month = |name: &str| match cell(name) {
        None => Ok(None),
        Some(text) => {
            month_of(text).map(Some).ok_or_else(|| wrong(name, text, "write YYYY-MM or YYYY-MM-DD"))
        }
    };
    let term = cell("term_months").unwrap_or("0");
    Ok(QuoteLine {
        quote: cell("quote").unwrap_or("quote").to_owned(),
        what: needed("what")?.to_owned(),
        count: count.parse().map_err(|_| wrong("count", count, "a whole number, such as 2"))?,
        unit_price: price.parse().ok().filter(|amount| Money::from_decimal(*amount).is_some()).ok_or_else(
            || wrong("unit_price", price, "a number from 0 to 10^12, without currency or commas"),
        )?,
        currency: Currency::from_code(currency)
            .ok_or_else(|| wrong("currency", currency, "three capitals, for instance USD or EUR"))?,
        kind: match kind {
            "capital" => QuoteKind::Capital,
            "yearly" => QuoteKind::Yearly,
            "monthly" => QuoteKind::Monthly,
            "hourly" => QuoteKind::Hourly,
            _ => return Err(wrong("kind", kind, "one of capital, yearly, monthly, hourly")),
        },
        payment: month("payment_date")?,
        delivery: month("delivery_date")?,
        term_months: term.parse().map_err(|_| wrong("term_months", term, "a whole number of months"))?,
        line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_counted() {
        assert_eq!(month_of("2027-01"), Some(2027 * 12));
        assert_eq!(month_of("2027-12-31"), Some(2027 * 12 + 11));
        for wrong in ["2027", "2027-13", "27-01", "2027-1", "2027-01-32", "January 2027"] {
            assert_eq!(month_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lines_are_read_and_mistakes_come_together() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("quotes.csv");
        let good = "what,count,unit_price,kind,quote,payment_date,term_months\n\
                    dgx-h100,2,295000,capital,a,2027-03-01,\nsupport,1,60000.5,yearly,a,,36\n";
        std::fs::write(&path, good).unwrap();
        let lines = read_quotes(&path).unwrap();
        assert_eq!((lines.len(), lines[0].count, lines[0].payment), (2, 2, Some(2027 * 12 + 2)));
        assert_eq!((lines[1].kind, lines[1].term_months, lines[1].line), (QuoteKind::Yearly, 36, 3));
        std::fs::write(&path, "what,count,unit_price,kind\na,two,1,capital\nb,1,1,weekly\nc,1,-4,capital\n")
            .unwrap();
        assert_eq!(read_quotes(&path).unwrap_err().errors(), 3);
        std::fs::write(&path, "what,count,price,kind\na,1,1,capital\n").unwrap();
        assert_eq!(read_quotes(&path).unwrap_err().errors(), 2, "unknown and missing");
    }
}
