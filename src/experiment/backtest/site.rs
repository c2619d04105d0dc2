//! The state of a site: nodes down or drained, reservations, fair-share usage, as Slurm's commands print it.
//!
//! - `sacctmgr show event -P` (any columns with NodeName, TimeStart, TimeEnd, State)
//! - `sacctmgr -P show reservation` (name, start, end, nodes), or `scontrol show reservation`
//! - `sshare -alP` (Account, User, RawUsage)

use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::simulation::UsageRow;
use crate::time::SimTime;
use crate::workload::read::SiteClock;
use crate::workload::read::node_list::hosts;

/// A node that was not usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEvent {
    /// The node.
    pub node: String,
    /// Begin.
    pub from: SimTime,
    /// End; `None` = not over.
    pub until: Option<SimTime>,
    /// Slurm's word (`DOWN`, `DRAIN`).
    pub state: String,
}

/// Nodes kept for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its name.
    pub name: String,
    /// Begin.
    pub from: SimTime,
    /// End.
    pub until: SimTime,
    /// The nodes.
    pub nodes: Vec<String>,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SiteState {
    /// Nodes down or drained.
    pub events: Vec<NodeEvent>,
    /// Reservations.
    pub reservations: Vec<Reservation>,
    /// Fair-share usage, where it is given.
    pub shares: Option<Vec<UsageRow>>,
}

/// States in which a node takes no new jobs (sacctmgr(1), scontrol(1)).
const UNUSABLE: [&str; 8] = ["DOWN", "DRAIN", "DRAINED", "DRAINING", "FAIL", "FAILING", "MAINT", "ERROR"];

/// Reads `sacctmgr show event -P`.
///
/// # Errors
/// W0444 for a file or a line that cannot be read.
pub fn read_events(path: &Path, clock: &mut SiteClock) -> Result<Vec<NodeEvent>, Diagnostics> {
    let file = Text::open(path)?;
    let mut told = Diagnostics::default();
    let mut lines = file.lines();
    let (_, header) = lines.next().unwrap_or((0, ""));
    let names: Vec<String> = header.split('|').map(|name| name.trim().to_ascii_lowercase()).collect();
    let column = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
    let found = (
        column(&["nodename", "node"]),
        column(&["timestart", "start"]),
        column(&["timeend", "end"]),
        column(&["state"]),
    );
    let (Some(node), Some(start), Some(end), Some(state)) = found else {
        let help =
            "export again:\nsacctmgr show event -P start=FROM format=NodeName,TimeStart,TimeEnd,State,Reason";
        let message = "node events need the columns NodeName, TimeStart, TimeEnd and State";
        return Err(only(Diagnostic::error("W0444", message).at(file.place(1, header)).help(help)));
    };
    let mut events = Vec::new();
    for (number, line) in lines {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let cell = |at: usize| cells.get(at).copied().unwrap_or("");
        let word = cell(state).split(['*', '+', '~', '#', ' ']).next().unwrap_or("").to_ascii_uppercase();
        // Rows without a node tell the size of the whole cluster.
        if cell(node).is_empty() || !UNUSABLE.contains(&word.as_str()) {
            continue;
        }
        match (clock.read(cell(start)), clock.read(cell(end))) {
            (Ok(Some(from)), Ok(until)) => {
                events.extend(hosts(cell(node)).into_iter().map(|node| NodeEvent {
                    node,
                    from,
                    until,
                    state: word.clone(),
                }))
            }
            (start, end) => {
                let why = start.err().or(end.err()).unwrap_or_else(|| "it has no start".to_owned());
                let problem = Diagnostic::error("W0444", format!("a node event cannot be read: {why}"));
                told.push(problem.at(file.place(number, line)));
            }
        }
    }
    if told.errors() > 0 { Err(told) } else { Ok(events) }
}

/// Reads `sacctmgr -P show reservation` or `scontrol show reservation`.
///
/// # Errors
/// W0444 for a file or a reservation that cannot be read.
pub fn read_reservations(path: &Path, clock: &mut SiteClock) -> Result<Vec<Reservation>, Diagnostics> {
    let file = Text::open(path)?;
    if file.text.lines().next().is_some_and(|first| first.contains('|')) {
        return reservation_table(&file, clock);
    }
    let mut told = Diagnostics::default();
    let mut found: Vec<Reservation> = Vec::new();
    let mut open: Vec<(u64, String)> = Vec::new();
    let lines: Vec<(u64, &str)> = file.lines().collect();
    for (number, line) in &lines {
        if line.trim_start().starts_with("ReservationName=") {
            finish(&mut open, &file, clock, &mut found, &mut told);
        } else if open.is_empty() {
            continue;
        }
        open.push((*number, (*line).to_owned()));
    }
    finish(&mut open, &file, clock, &mut found, &mut told);
    if found.is_empty() && told.is_empty() && !lines.iter().any(|(_, line)| line.contains("No reservations"))
    {
        let message = "the file describes no reservation";
        told.push(
            Diagnostic::error("W0444", message)
                .at(Place::File(Arc::clone(&file.name)))
                .help("give the output of `scontrol show reservation`"),
        );
    }
    if told.errors() > 0 { Err(told) } else { Ok(found) }
}

/// Reads the table of `sacctmgr -P show reservation`.
fn reservation_table(file: &Text, clock: &mut SiteClock) -> Result<Vec<Reservation>, Diagnostics> {
    let mut lines = file.lines();
    let (_, header) = lines.next().unwrap_or((0, ""));
    let names: Vec<String> = header.split('|').map(|name| name.trim().to_ascii_lowercase()).collect();
    let column = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
    let found = (
        column(&["name"]),
        column(&["timestart", "start"]),
        column(&["timeend", "end"]),
        column(&["nodenames", "nodename", "nodes"]),
    );
    let (Some(name), Some(start), Some(end), Some(nodes)) = found else {
        let help = "export again:\nsacctmgr -P show reservation start=FROM format=Name,Start,End,NodeNames";
        let message = "reservations need the columns Name, Start, End and NodeNames";
        return Err(only(Diagnostic::error("W0444", message).at(file.place(1, header)).help(help)));
    };
    let (mut found, mut told) = (Vec::new(), Diagnostics::default());
    for (number, line) in lines {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let cell = |at: usize| cells.get(at).copied().unwrap_or("");
        let (from, until) = (clock.read(cell(start)), clock.read(cell(end)));
        if let (Ok(Some(from)), Ok(Some(until))) = (from, until) {
            found.push(Reservation { name: cell(name).to_owned(), from, until, nodes: hosts(cell(nodes)) });
        } else {
            let problem = Diagnostic::error("W0444", "a reservation without start or end");
            told.push(problem.at(file.place(number, line)));
        }
    }
    if told.errors() > 0 { Err(told) } else { Ok(found) }
}

/// Reads the lines of one reservation.
fn finish(
    open: &mut Vec<(u64, String)>,
    file: &Text,
    clock: &mut SiteClock,
    found: &mut Vec<Reservation>,
    told: &mut Diagnostics,
) {
    let Some((number, first)) = open.first().cloned() else { return };
    let text = open.drain(..).map(|(_, line)| line).collect::<Vec<_>>().join(" ");
    let value = |key: &str| {
        let words = text.split_ascii_whitespace();
        words.filter_map(|word| word.split_once('=')).find(|(known, _)| *known == key).map(|(_, v)| v)
    };
    let time = |key: &str, clock: &mut SiteClock| value(key).and_then(|text| clock.read(text).ok().flatten());
    let (from, until) = (time("StartTime", clock), time("EndTime", clock));
    let nodes = value("Nodes").filter(|nodes| !nodes.contains("null")).map_or_else(Vec::new, hosts);
    match (value("ReservationName"), from, until) {
        (Some(name), Some(from), Some(until)) => {
            found.push(Reservation { name: name.to_owned(), from, until, nodes });
        }
        _ => told.push(
            Diagnostic::error("W0444", "a reservation without StartTime or EndTime")
                .at(file.place(number, &first)),
        ),
    }
}

/// Reads `sshare -alP`; accounts are written with leading blanks by their depth.
///
/// # Errors
/// W0444 where it is no such text, or a usage is no number.
pub fn read_shares(path: &Path) -> Result<Vec<UsageRow>, Diagnostics> {
    let file = Text::open(path)?;
    let mut lines = file.lines();
    let (_, header) = lines.next().unwrap_or((0, ""));
    let names: Vec<&str> = header.split('|').map(str::trim).collect();
    let column = |wanted: &str| names.iter().position(|name| *name == wanted);
    let (Some(account), Some(user), Some(raw)) = (column("Account"), column("User"), column("RawUsage"))
    else {
        let message = "fair-share usage needs the columns Account, User and RawUsage";
        let problem = Diagnostic::error("W0444", message).at(file.place(1, header));
        return Err(only(problem.help("export again: sshare -alP")));
    };
    let (mut found, mut told) = (Vec::new(), Diagnostics::default());
    for (number, line) in lines {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let cell = |at: usize| cells.get(at).copied().unwrap_or("");
        match cell(raw).parse::<u64>() {
            Ok(usage) => found.push(UsageRow {
                account: cell(account).to_owned(),
                user: Some(cell(user).to_owned()).filter(|user| !user.is_empty()),
                raw: usage as f64,
            }),
            Err(_) => {
                let message = format!("RawUsage is '{}', which is no number", cell(raw));
                told.push(Diagnostic::error("W0444", message).at(file.place(number, line)));
            }
        }
    }
    if told.errors() > 0 { Err(told) } else { Ok(found) }
}

/// A text file with its name.
struct Text {
    name: Arc<str>,
    text: String,
}

impl Text {
    fn open(path: &Path) -> Result<Self, Diagnostics> {
        let name: Arc<str> = path.display().to_string().into();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => {
                let message = format!("cannot read '{name}': {error}");
                Err(only(Diagnostic::error("W0444", message).at(Place::File(name))))
            }
        }
    }

    /// Lines that say something, with their numbers.
    fn lines(&self) -> impl Iterator<Item = (u64, &str)> {
        let numbered = self.text.lines().enumerate().map(|(at, line)| (at as u64 + 1, line));
        numbered.filter(|(_, line)| !line.trim().is_empty())
    }

    fn place(&self, line: u64, text: &str) -> Place {
        let text = text.chars().take(96).collect();
        Place::Line { file: Arc::clone(&self.name), line, column: 0, text }
    }
}

fn only(problem: Diagnostic) -> Diagnostics {
    let mut told = Diagnostics::default();
    told.push(problem);
    told
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("room");
        file
    }

    fn clock() -> SiteClock {
        SiteClock::new(Some("UTC")).expect("UTC is known")
    }

    #[test]
    fn events_of_nodes() {
        let text = "Cluster|NodeName|TimeStart|TimeEnd|State|Reason|User\n\
                    c||1970-01-01T00:00:00|Unknown||Cluster Registered TRES|\n\
                    c|n[1-2]|1970-01-01T00:01:40|1970-01-01T00:03:20|DOWN*|dead|root\n\
                    c|n3|1970-01-01T00:01:40|Unknown|DRAIN+IDLE|fan|root\n\
                    c|n4|1970-01-01T00:01:40|Unknown|IDLE||\n";
        let events = read_events(file(text).path(), &mut clock()).expect("readable");
        let names: Vec<&str> = events.iter().map(|event| event.node.as_str()).collect();
        assert_eq!(names, ["n1", "n2", "n3"]);
        assert_eq!((events[0].from, events[0].until), (SimTime::from_s(100), Some(SimTime::from_s(200))));
        assert_eq!((events[2].until, events[2].state.as_str()), (None, "DRAIN"));
        let told = read_events(file("NodeName|State\nn1|DOWN\n").path(), &mut clock()).unwrap_err();
        assert_eq!(told.kept()[0].code.0, "W0444");
        let bad = "NodeName|TimeStart|TimeEnd|State\nn1|soon|Unknown|DOWN\nn2|Unknown|Unknown|DOWN\n";
        assert_eq!(read_events(file(bad).path(), &mut clock()).unwrap_err().errors(), 2);
    }

    #[test]
    fn reservations() {
        let text = "ReservationName=maint StartTime=1970-01-01T00:01:40 EndTime=1970-01-01T00:03:20 Duration=00:01:40\n   \
                    Nodes=n[1-2] NodeCnt=2 CoreCnt=8 Features=(null) Flags=MAINT\n\n\
                    ReservationName=empty StartTime=1970-01-01T00:01:40 EndTime=1970-01-01T00:03:20\n   Nodes=(null)\n";
        let found = read_reservations(file(text).path(), &mut clock()).expect("readable");
        assert_eq!((found[0].name.as_str(), found[0].nodes.len()), ("maint", 2));
        assert_eq!((found[0].from, found[0].until), (SimTime::from_s(100), SimTime::from_s(200)));
        assert!(found[1].nodes.is_empty());
        let table = "Name|TimeStart|TimeEnd|NodeNames\nmaint|100|200|n[1-3]\n";
        let found = read_reservations(file(table).path(), &mut clock()).expect("readable");
        assert_eq!((found[0].nodes.len(), found[0].until), (3, SimTime::from_s(200)));
        assert!(read_reservations(file("Name|TRES\n").path(), &mut clock()).is_err());
        assert!(read_reservations(file("hello\n").path(), &mut clock()).is_err());
        let none = file("No reservations in the system\n");
        assert_eq!(read_reservations(none.path(), &mut clock()).expect("none"), []);
    }

    #[test]
    fn shares() {
        let text = "Account|User|RawShares|NormShares|RawUsage|EffectvUsage|FairShare\nroot||1|1.0|5|1|\n a|u|1|1|5|1|1\n";
        let rows = read_shares(file(text).path()).expect("readable");
        assert_eq!((rows[0].user.as_deref(), rows[1].account.as_str(), rows[1].raw), (None, "a", 5.0));
        assert!(read_shares(file("x\n").path()).is_err());
        assert!(read_shares(file("Account|User|RawUsage\na|u|much\n").path()).is_err());
    }
}
