//! Tables of others, read by column name: node inventories, pod lists, traces of published studies.
//!
//! Such files have more columns than we use, so unknown ones are passed over; a missing one is told
//! with the header line. Bad rows are refused one by one, or make the whole file useless if `strict`.

use std::path::Path;
use std::sync::Arc;

use super::cells::{Cell, Cells};
use super::lines::{Line, Lines};
use super::problem::{Problem, code, shown};
use super::sacct::CivilClock;
use super::source;
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Severity, nearest};
use crate::time::{SecondsError, SimTime, parse_seconds_micros};

/// What a table must have and may have.
pub(crate) struct Columns {
    /// What the table is, in words: "a list of pods".
    pub(crate) what: &'static str,
    pub(crate) required: &'static [&'static str],
    pub(crate) optional: &'static [&'static str],
}

/// The rows that were taken, and what is wrong with the others.
#[derive(Debug)]
pub(crate) struct TableRows<T> {
    pub(crate) rows: Vec<T>,
    pub(crate) refused: u64,
    pub(crate) told: Diagnostics,
}

/// Why a row is refused.
#[derive(Debug)]
pub(crate) struct RowProblem(Problem);

impl RowProblem {
    pub(super) fn of(problem: Problem) -> Self {
        Self(problem)
    }

    pub(super) fn into_problem(self) -> Problem {
        self.0
    }
}

/// One row, its cells by column name.
pub(crate) struct TableRow<'a> {
    placed: &'a [(&'static str, usize)],
    cells: &'a Cells,
    line: &'a [u8],
}

impl<'a> TableRow<'a> {
    pub(super) fn new(placed: &'a [(&'static str, usize)], cells: &'a Cells, line: &'a [u8]) -> Self {
        Self { placed, cells, line }
    }

    /// Byte column of a cell; 0 where the file lacks the column.
    pub(super) fn column(&self, name: &'static str) -> u64 {
        self.cell(name).column
    }

    /// A civil time, or one with an offset; `None` where the cell says that there is none.
    pub(super) fn time(
        &self,
        name: &'static str,
        clock: &mut CivilClock,
    ) -> Result<Option<SimTime>, RowProblem> {
        clock.read(name, self.text(name), self.column(name)).map_err(RowProblem)
    }

    /// A count above zero; `None` where the cell is empty, absent, or zero.
    pub(super) fn optional_count(&self, name: &'static str) -> Result<Option<u32>, RowProblem> {
        if self.text(name).is_empty() {
            return Ok(None);
        }
        self.cell(name).count(0).map(|count| Some(count).filter(|n| *n > 0)).map_err(RowProblem)
    }

    /// The cell of a column; of a column that the file lacks, an empty one.
    fn cell(&self, name: &'static str) -> Cell<'a> {
        let found = self.placed.iter().find(|(known, _)| *known == name);
        let (text, column) =
            found.map_or((&[][..], 0), |(_, at)| (self.cells.text(self.line, *at), self.cells.column(*at)));
        Cell { name, text, column }
    }

    /// The text of a column, empty where the file lacks it.
    pub(crate) fn text(&self, name: &'static str) -> &'a str {
        self.cell(name).str()
    }

    /// A whole number between `low` and `high`.
    pub(crate) fn whole(&self, name: &'static str, low: i64, high: i64) -> Result<i64, RowProblem> {
        self.cell(name).integer(low, high).map_err(RowProblem)
    }

    /// A decimal number, in millionths; not below zero.
    pub(crate) fn millionths(&self, name: &'static str) -> Result<i64, RowProblem> {
        match parse_seconds_micros(self.cell(name).text) {
            Ok(millionths) if millionths >= 0 => Ok(millionths),
            Ok(_) | Err(SecondsError::OutOfRange) => {
                Err(RowProblem(self.cell(name).out_of_range("at least 0")))
            }
            Err(SecondsError::NotANumber) => Err(RowProblem(self.cell(name).wrong_type("a number"))),
        }
    }

    /// A decimal number above zero, in millionths.
    pub(crate) fn positive_millionths(&self, name: &'static str) -> Result<i64, RowProblem> {
        match self.millionths(name)? {
            0 => Err(RowProblem(self.cell(name).out_of_range("above 0"))),
            millionths => Ok(millionths),
        }
    }

    /// "the value of this column is out of range".
    pub(crate) fn out_of_range(&self, name: &'static str, allowed: &str, help: &str) -> RowProblem {
        RowProblem(self.cell(name).out_of_range(allowed).help(help))
    }

    /// "this id came before".
    pub(crate) fn duplicate(&self, name: &'static str) -> RowProblem {
        let cell = self.cell(name);
        let message = format!("{name} '{}' came before", cell.str());
        RowProblem(Problem::new(code::DUPLICATE_ID, "a duplicate id", message).at(cell.column))
    }
}

/// Reads the table at `path`, plain, gzip or zstd.
///
/// # Errors
/// What makes the file useless: unreadable, empty, a column missing, no valid row; with `strict`, any
/// bad row.
pub(crate) fn read_table<T>(
    path: &Path,
    columns: &Columns,
    strict: bool,
    mut take: impl FnMut(&TableRow<'_>) -> Result<T, RowProblem>,
) -> Result<TableRows<T>, Diagnostics> {
    let file: Arc<str> = path.display().to_string().into();
    let unreadable = |error: std::io::Error| {
        let message = format!("cannot read the file: {}", super::plain_words(&error));
        let told = Diagnostic::error(code::UNREADABLE, message).at(Place::File(Arc::clone(&file)));
        alone(told.help(format!("give the path of {}", columns.what)))
    };
    let unpacked = source::open(path).and_then(source::unpack).map_err(unreadable)?;
    let mut lines = Lines::new(unpacked.reader);
    let mut found = TableRows { rows: Vec::new(), refused: 0, told: Diagnostics::default() };
    let mut cells = Cells::default();
    let mut header: Option<Header> = None;
    loop {
        let place = LinePlace { file: &file, number: lines.number() + 1 };
        let broken = |error| alone(*super::broken(&file, unpacked.packing, place.number, &error));
        let (text, read) = match lines.next_line().map_err(broken)? {
            None => break,
            Some(Line::TooLong(start)) => (start, Err(super::line_too_long())),
            Some(Line::Text(text)) if text.trim_ascii().is_empty() => continue,
            Some(Line::Text(text)) => match (cut(text, &mut cells), &header) {
                (Err(problem), None) => return Err(alone(place.tell(problem, text))),
                (Err(problem), Some(_)) => (text, Err(problem)),
                (Ok(()), None) => {
                    header = Some(Header::new(columns, text, &cells, &place)?);
                    continue;
                }
                (Ok(()), Some(header)) => {
                    let row = TableRow { placed: &header.placed, cells: &cells, line: text };
                    let taken = header.check_width(&cells).and_then(|()| take(&row).map_err(|p| p.0));
                    (text, taken)
                }
            },
        };
        match read {
            Ok(row) => found.rows.push(row),
            Err(problem) => {
                found.refused += 1;
                let mut told = place.tell(problem, text);
                if !strict {
                    told.severity = Severity::Warning;
                    told = told.because("this row is refused");
                }
                found.told.push(told);
            }
        }
    }
    if found.rows.is_empty() {
        let code = if header.is_none() { code::EMPTY } else { code::NO_VALID_ROW };
        let message = format!("no valid row; {} was expected", columns.what);
        found.told.push(Diagnostic::error(code, message).at(Place::File(Arc::clone(&file))));
    }
    if found.told.errors() > 0 { Err(found.told) } else { Ok(found) }
}

fn alone(diagnostic: Diagnostic) -> Diagnostics {
    let mut told = Diagnostics::default();
    told.push(diagnostic);
    told
}

fn cut(line: &[u8], cells: &mut Cells) -> Result<(), Problem> {
    if let Err(error) = std::str::from_utf8(line) {
        let at = error.valid_up_to();
        let message = format!("not UTF-8: byte 0x{:02x}", line[at]);
        return Err(Problem::new(code::NOT_UTF8, "not UTF-8", message).at(at as u64 + 1));
    }
    cells.split(line)
}

/// A line of the file at hand.
struct LinePlace<'a> {
    file: &'a Arc<str>,
    number: u64,
}

impl LinePlace<'_> {
    fn at(&self, column: u64, text: &[u8]) -> Place {
        let file = Arc::clone(self.file);
        Place::Line { file, line: self.number, column, text: shown(text, column) }
    }

    fn tell(&self, problem: Problem, text: &[u8]) -> Diagnostic {
        let mut told = Diagnostic::error(problem.code, problem.message).at(self.at(problem.column, text));
        told.help = problem.help;
        told
    }
}

/// Where the columns that we use stand.
struct Header {
    placed: Vec<(&'static str, usize)>,
    width: usize,
}

impl Header {
    fn new(
        columns: &Columns,
        line: &[u8],
        cells: &Cells,
        place: &LinePlace<'_>,
    ) -> Result<Self, Diagnostics> {
        let names: Vec<&str> =
            (0..cells.len()).map(|at| std::str::from_utf8(cells.text(line, at)).unwrap_or("")).collect();
        let mut placed = Vec::new();
        let mut told = Diagnostics::default();
        for name in columns.required.iter().chain(columns.optional) {
            let mut found = names.iter().enumerate().filter(|(_, found)| *found == name);
            match (found.next(), found.next()) {
                (Some((at, _)), None) => placed.push((*name, at)),
                (Some(_), Some((again, _))) => told.push(
                    Diagnostic::error(code::REPEATED_COLUMN, format!("column '{name}' comes twice"))
                        .at(place.at(cells.column(again), line)),
                ),
                (None, _) if columns.required.contains(name) => {
                    let strange = names.iter().copied().filter(|n| !columns.knows(n));
                    let help = nearest(name, strange).map_or_else(
                        || format!("{} needs {}", columns.what, columns.required.join(", ")),
                        |near| format!("is '{near}' meant to be '{name}'?"),
                    );
                    told.push(
                        Diagnostic::error(code::MISSING_COLUMN, format!("required column missing: {name}"))
                            .at(place.at(1, line))
                            .because("the first line must name the columns")
                            .help(help),
                    );
                }
                (None, _) => {}
            }
        }
        if told.is_empty() { Ok(Self { placed, width: cells.len() }) } else { Err(told) }
    }

    fn check_width(&self, cells: &Cells) -> Result<(), Problem> {
        if cells.len() == self.width {
            return Ok(());
        }
        let message = format!("the row has {} cells, the header {}", cells.len(), self.width);
        Err(Problem::new(code::WIDTH, "more or fewer cells than the header", message))
    }
}

impl Columns {
    fn knows(&self, name: &str) -> bool {
        self.required.contains(&name) || self.optional.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const COLUMNS: Columns =
        Columns { what: "a list of things", required: &["name", "size"], optional: &["note"] };

    fn read(text: &str, strict: bool) -> Result<(Vec<(String, i64)>, Diagnostics), Diagnostics> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let take = |row: &TableRow<'_>| Ok((row.text("name").to_owned(), row.whole("size", 0, 1000)?));
        read_table(file.path(), &COLUMNS, strict, take).map(|table| (table.rows, table.told))
    }

    fn codes(told: &Diagnostics) -> Vec<&'static str> {
        told.kept().iter().map(|d| d.code.0).collect()
    }

    #[test]
    fn columns_are_found_by_name_and_others_passed_over() {
        let (rows, told) = read("size,extra,name\n1,x,a\n\n2,y,b\n", true).unwrap();
        assert_eq!(rows, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        assert!(told.is_empty());
    }

    #[test]
    fn a_missing_column_is_told_with_its_line_and_what_was_meant() {
        let told = read("\nname,sise\na,1\n", false).unwrap_err();
        assert_eq!(codes(&told), ["W0106"]);
        assert!(matches!(&told.kept()[0].place, Place::Line { line: 2, column: 1, .. }));
        assert_eq!(told.kept()[0].help.as_deref(), Some("is 'sise' meant to be 'size'?"));
    }

    #[test]
    fn bad_rows_are_refused_or_make_the_file_useless() {
        let text = "name,size\na,1\nb,1001\nc\nd,x\n";
        let (rows, told) = read(text, false).unwrap();
        assert_eq!((rows.len(), codes(&told)), (1, vec!["W0112", "W0110", "W0111"]));
        assert!(matches!(&told.kept()[0].place, Place::Line { line: 3, column: 3, .. }));
        assert!(told.kept().iter().all(|d| d.severity == Severity::Warning));
        assert_eq!(read(text, true).unwrap_err().errors(), 3);
        assert_eq!(codes(&read("name,size\n", false).unwrap_err()), ["W0105"]);
        assert_eq!(codes(&read("", false).unwrap_err()), ["W0104"]);
    }
}
