//! The accounting database as `sacctmgr` writes it: `sacctmgr dump`, `sacctmgr -P show assoc`,
//! `sacctmgr -P show qos`, or commands after `sacctmgr -i`. All become the same entries.
//!
//! A file may hold several tables of `show`, one after the other, each with its header.

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entity {
    Qos,
    Account,
    User,
    /// Something that decides nothing here: its name in a command, and why.
    Other(&'static str),
}

/// What is done to an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// It may be new.
    Add,
    /// It must be there.
    Modify,
    /// It goes away.
    Remove,
}

/// A setting with its key in lower case and its column.
pub(super) type Settings = Vec<(String, String)>;

/// One QOS, account or user with its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub line: u64,
    pub entity: Entity,
    pub names: Vec<String>,
    pub verb: Verb,
    pub settings: Settings,
    /// What follows `where` in a command.
    pub conditions: Settings,
}

/// A line that cannot be read, and why.
pub(super) type Bad = (u64, String);

/// The form of a file, by its first line that says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Commands,
    Dump,
    Tables,
}

impl Form {
    pub(super) fn of(text: &str) -> Self {
        let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        match first {
            Some(line) if line.contains('|') => Self::Tables,
            Some(line) if dump_line(line).is_some() => Self::Dump,
            _ => Self::Commands,
        }
    }
}

/// All entries of a file in the order in which they have to be applied, and the lines that cannot be read.
pub(super) fn read(text: &str) -> (Vec<Entry>, Vec<Bad>) {
    let mut bad = Vec::new();
    let entries = match Form::of(text) {
        Form::Commands => commands(text, &mut bad),
        Form::Dump => dump(text, &mut bad),
        Form::Tables => tables(text, &mut bad),
    };
    (entries, bad)
}

fn commands(text: &str, bad: &mut Vec<Bad>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (at, raw) in text.lines().enumerate() {
        match words(raw).and_then(|words| command(&words, at as u64 + 1)) {
            Ok(entry) => entries.extend(entry),
            Err(why) => bad.push((at as u64 + 1, why)),
        }
    }
    entries
}

/// The words of a command; blanks inside quotes belong to them, and a `#` outside begins a remark.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') if word.is_empty() => break,
            (None, c) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (_, c) => word.push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    Ok(words)
}

/// The word that begins so; sacctmgr takes any beginning of at least three letters.
fn begun<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let lower = word.to_ascii_lowercase();
    let exact = known.iter().find(|name| **name == lower);
    exact.or_else(|| known.iter().find(|name| lower.len() >= 3 && name.starts_with(&lower))).copied()
}

/// What a command is about, and the keys that name it.
fn entity_of(word: &str) -> Result<(Entity, &'static [&'static str]), String> {
    let entities = [
        "qos",
        "account",
        "accounts",
        "user",
        "users",
        "cluster",
        "clusters",
        "coordinator",
        "resource",
        "wckey",
        "federation",
        "event",
        "runawayjobs",
    ];
    Ok(match begun(word, &entities) {
        Some("qos") => (Entity::Qos, &["name", "names", "qos"]),
        Some("account" | "accounts") => {
            (Entity::Account, &["name", "names", "account", "accounts", "acct", "accts"])
        }
        Some("user" | "users") => (Entity::User, &["name", "names", "user", "users"]),
        // the cluster's settings are those of its root account
        Some("cluster" | "clusters") => (Entity::Account, &["name", "names", "cluster", "clusters"]),
        Some("coordinator") => {
            (Entity::Other("coordinators decide on accounts, not on when jobs start"), &[])
        }
        Some("resource" | "federation") => (Entity::Other("licences and federations are not modelled"), &[]),
        Some(_) => (Entity::Other("labels and records, without influence on when jobs start"), &[]),
        None => return Err(format!("`{word}` is not qos, account, user or cluster")),
    })
}

/// One command: verb, entity, names, settings; nothing for a blank line and for what only asks.
fn command(words: &[String], number: u64) -> Result<Option<Entry>, String> {
    // scripts call the program itself, with options
    let mut words = words.iter().map(String::as_str);
    let is_call = |word: &&str| word.ends_with("sacctmgr") || word.starts_with('-') || *word == "sudo";
    let Some(word) = words.find(|word| !is_call(word)) else { return Ok(None) };
    let verbs = [
        "add", "create", "modify", "update", "remove", "delete", "list", "show", "quit", "exit", "commit",
        "ping",
    ];
    let verb = match begun(word, &verbs) {
        Some("add" | "create") => Verb::Add,
        Some("modify" | "update") => Verb::Modify,
        Some("remove" | "delete") => Verb::Remove,
        Some(_) => return Ok(None),
        None => return Err(format!("`{word}` is not add, create, modify, remove, delete or list")),
    };
    let (entity, name_keys) = entity_of(words.next().unwrap_or(""))?;
    let is_cluster = name_keys.contains(&"cluster");
    let (mut names, mut conditions, mut settings) = (Vec::new(), Vec::new(), Vec::new());
    let mut setting = verb == Verb::Add;
    for word in words {
        match (word.to_ascii_lowercase().as_str(), word.split_once('=')) {
            ("set", _) => setting = true,
            ("where", _) => setting = false,
            (_, Some((key, value))) => {
                let key = key_of(key);
                if name_keys.contains(&key.as_str()) && (!setting || verb == Verb::Add) {
                    for name in value.split(',').filter(|name| !name.is_empty()) {
                        names.push(name_of(name)?);
                    }
                } else if setting {
                    settings.push((key, value.to_owned()));
                } else if CONDITIONS.contains(&key.as_str()) {
                    conditions.push((key, value.to_owned()));
                } else {
                    return Err(format!(
                        "`{key}` is no condition that is known here: write set before settings"
                    ));
                }
            }
            (_, None) => {
                for name in word.split(',').filter(|name| !name.is_empty()) {
                    // sacctmgr takes it for a further name; more often a sign is missing
                    if !settings.is_empty() {
                        settings.push((LATE_NAME.to_owned(), name.to_owned()));
                    }
                    names.push(name_of(name)?);
                }
            }
        }
    }
    if is_cluster {
        if settings.is_empty() || verb == Verb::Remove {
            return Ok(None);
        }
        names = vec!["root".to_owned()];
    }
    let verb = if is_cluster { Verb::Modify } else { verb };
    if verb == Verb::Modify && settings.is_empty() && !matches!(entity, Entity::Other(_)) {
        return Err("the command sets nothing: write set and what is set".to_owned());
    }
    // `modify user set ...` means everybody, `... where account=x` everybody there
    let speaks_of_all = verb == Verb::Modify || (verb == Verb::Remove && !conditions.is_empty());
    if names.is_empty() && !speaks_of_all && !matches!(entity, Entity::Other(_)) {
        return Err("the command names nothing".to_owned());
    }
    Ok(Some(Entry { line: number, entity, names, verb, settings, conditions }))
}

/// The key under which a name behind settings is noted.
pub(super) const LATE_NAME: &str = "a word behind settings";

/// What may stand behind `where`.
const CONDITIONS: [&str; 12] = [
    "account",
    "adminlevel",
    "cluster",
    "defaultaccount",
    "defaultqos",
    "description",
    "name",
    "organization",
    "parent",
    "partition",
    "qos",
    "user",
];

/// A name as slurmdbd takes it.
fn name_of(name: &str) -> Result<String, String> {
    // `fairshare40`: the sign is missing
    let is_setting = |key: &&str| {
        name.strip_prefix(*key).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if ["fairshare", "priority", "maxjobs", "maxsubmit", "grpjobs", "grpsubmit", "maxwall"]
        .iter()
        .any(is_setting)
    {
        return Err(format!("`{name}` looks like a setting without its `=`"));
    }
    let is_good = |c: char| c.is_alphanumeric() || "_-.@+*/ ".contains(c);
    if name.chars().all(is_good) { Ok(name.to_owned()) } else { Err(format!("`{name}` is no name")) }
}

/// A key by its one name here: synonyms and plurals of sacctmgr.
fn key_of(key: &str) -> String {
    let lower = key.to_ascii_lowercase();
    let (plain, operator) = match lower.strip_suffix(['+', '-']) {
        Some(plain) => (plain, &lower[plain.len()..]),
        None => (lower.as_str(), ""),
    };
    let one = match plain {
        "accounts" | "acct" | "accts" => "account",
        "parents" | "parentname" => "parent",
        "share" => "fairshare",
        "clusters" => "cluster",
        "partitions" => "partition",
        "qoslevel" => "qos",
        "defaultacct" | "defacct" => "defaultaccount",
        "defqos" | "defaultqoslevel" => "defaultqos",
        "org" => "organization",
        "desc" => "description",
        "grpsubmitjob" => "grpsubmitjobs",
        other => other,
    };
    format!("{one}{operator}")
}

/// `Account - 'physics':Fairshare=10:...`: what it is, its name, the rest.
fn dump_line(line: &str) -> Option<(&str, &str, &str)> {
    let (kind, rest) = line.split_once(" - ")?;
    let rest = rest.trim().strip_prefix('\'')?;
    let (name, rest) = rest.split_once('\'')?;
    ["Cluster", "Parent", "Account", "User"].contains(&kind).then_some((kind, name, rest))
}

fn dump(text: &str, bad: &mut Vec<Bad>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut parent = "root".to_owned();
    for (at, raw) in text.lines().enumerate() {
        let (line, number) = (raw.trim(), at as u64 + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((kind, name, rest)) = dump_line(line) else {
            bad.push((number, "this is no line of `sacctmgr dump`".to_owned()));
            continue;
        };
        let mut settings = match dump_settings(rest) {
            Ok(settings) => settings,
            Err(why) => {
                bad.push((number, why));
                continue;
            }
        };
        let entity = match kind {
            "Parent" => {
                if !rest.is_empty() {
                    bad.push((number, format!("`{rest}` behind a parent")));
                }
                name.clone_into(&mut parent);
                continue;
            }
            "User" => {
                settings.retain(|(key, _)| key != "account" && key != "defaultaccount");
                settings.push(("account".to_owned(), parent.clone()));
                Entity::User
            }
            "Account" => {
                settings.push(("parent".to_owned(), parent.clone()));
                Entity::Account
            }
            // the cluster's line is its root account's
            _ => {
                let root = Entry {
                    line: number,
                    entity: Entity::Account,
                    names: vec!["root".to_owned()],
                    verb: Verb::Modify,
                    settings,
                    conditions: Vec::new(),
                };
                entries.push(root);
                continue;
            }
        };
        let names = vec![name.to_owned()];
        entries.push(Entry {
            line: number,
            entity,
            names,
            verb: Verb::Add,
            settings,
            conditions: Vec::new(),
        });
    }
    entries
}

/// `:Key=value:Key='value'`; a colon inside quotes, or in `gres/gpu:h100=8`, belongs to the value.
fn dump_settings(text: &str) -> Result<Settings, String> {
    let mut settings: Settings = Vec::new();
    let mut quoted = false;
    let pieces: Vec<&str> = text
        .split(|c: char| {
            if c == '\'' {
                quoted = !quoted;
            }
            c == ':' && !quoted
        })
        .collect();
    if text.matches('\'').count() % 2 == 1 {
        return Err("a quote is not closed".to_owned());
    }
    for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
        let goes_on = settings.last().is_some_and(|(_, value)| {
            value.rsplit(',').next().is_some_and(|last| last.starts_with("gres/") && !last.contains('='))
        });
        match (goes_on, piece.split_once('=')) {
            (true, _) => {
                let (_, value) = settings.last_mut().expect("a value goes on");
                *value += &format!(":{piece}");
            }
            (false, Some((key, value))) => {
                let inner = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
                if inner.unwrap_or(value).contains('\'') {
                    return Err(format!("`{value}` has a quote in the middle"));
                }
                settings.push((key.trim().to_ascii_lowercase(), inner.unwrap_or(value).to_owned()));
            }
            (false, None) => return Err(format!("`{piece}` is not Key=value")),
        }
    }
    Ok(settings)
}

fn tables(text: &str, bad: &mut Vec<Bad>) -> Vec<Entry> {
    let (mut qos, mut assocs): (Vec<Entry>, Vec<(usize, Entry)>) = (Vec::new(), Vec::new());
    let mut header: Vec<String> = Vec::new();
    // cells of the header's line, with the empty one behind a sign at its end (`-p`)
    let mut width = 0;
    // accounts on the way from the root, by depth, as `show assoc tree` indents them
    let mut above: Vec<String> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let number = at as u64 + 1;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let cells: Vec<&str> = line.strip_suffix('|').unwrap_or(line).split('|').collect();
        let names: Vec<String> =
            cells.iter().map(|c| c.to_ascii_lowercase().replace([' ', '_'], "")).collect();
        let is_header = |first: &str| names.iter().any(|name| name == first);
        if (is_header("account") && is_header("user")) || (is_header("name") && is_header("priority")) {
            (header, width) = (names, line.split('|').count());
            continue;
        }
        let raw = line.split('|').count();
        let lacks_last_sign = width > header.len() && raw + 1 == width;
        if header.is_empty() || (raw != width && !lacks_last_sign) {
            let why = format!("{raw} cells under a header of {width}");
            bad.push((number, why));
            continue;
        }
        let get = |name: &str| {
            let at = header.iter().position(|h| h == name)?;
            cells.get(at).map(|cell| cell.trim()).filter(|cell| !cell.is_empty())
        };
        let settings = show_settings(&header, &cells);
        let entry = |entity, name: &str, settings| Entry {
            line: number,
            entity,
            names: vec![name.to_owned()],
            verb: Verb::Add,
            settings,
            conditions: Vec::new(),
        };
        if let Some(name) = get("name") {
            qos.push(entry(Entity::Qos, name, settings));
            continue;
        }
        let Some(account) = get("account") else {
            bad.push((number, "an association without account".to_owned()));
            continue;
        };
        let at = header.iter().position(|h| h == "account").unwrap_or(0);
        let depth = cells[at].len() - cells[at].trim_start().len();
        assocs.push(match get("user") {
            Some(user) => {
                let mut settings = settings;
                settings.push(("account".to_owned(), account.to_owned()));
                (usize::MAX, entry(Entity::User, user, settings))
            }
            None => {
                above.truncate(depth);
                let by_depth = above.last().cloned();
                above.resize(depth + 1, account.to_owned());
                let parent = get("parname").or(get("parentname")).map(str::to_owned).or(by_depth);
                let mut settings = settings;
                let parent = parent.unwrap_or_else(|| "root".to_owned());
                settings.push(("parent".to_owned(), parent));
                (0, entry(Entity::Account, account, settings))
            }
        });
    }
    qos.extend(parents_first(assocs));
    qos
}

/// Accounts after their parents, then users.
fn parents_first(assocs: Vec<(usize, Entry)>) -> Vec<Entry> {
    let (users, mut accounts): (Vec<_>, Vec<_>) = assocs.into_iter().partition(|(rank, _)| *rank > 0);
    let mut known = vec!["root".to_owned()];
    let mut sorted: Vec<Entry> = Vec::new();
    loop {
        let before = accounts.len();
        let (ready, later): (Vec<_>, Vec<_>) = accounts.into_iter().partition(|(_, entry)| {
            let parent = entry.settings.iter().find(|(key, _)| key == "parent");
            entry.names[0] == "root" || parent.is_none_or(|(_, parent)| known.contains(parent))
        });
        known.extend(ready.iter().map(|(_, entry)| entry.names[0].clone()));
        sorted.extend(ready.into_iter().map(|(_, entry)| entry));
        accounts = later;
        if accounts.is_empty() || accounts.len() == before {
            break;
        }
    }
    sorted.extend(accounts.into_iter().chain(users).map(|(_, entry)| entry));
    sorted
}

/// The cells that are settings, by the names that commands use; empty cells say nothing.
fn show_settings(header: &[String], cells: &[&str]) -> Settings {
    const IDENTITY: [&str; 12] = [
        "cluster",
        "account",
        "user",
        "name",
        "parname",
        "parentname",
        "parid",
        "id",
        "lft",
        "rgt",
        "lineage",
        "descr",
    ];
    let rows = header
        .iter()
        .zip(cells)
        .filter(|(key, cell)| !IDENTITY.contains(&key.as_str()) && !cell.trim().is_empty());
    rows.map(|(key, cell)| {
        let key = match key.as_str() {
            "share" => "fairshare",
            "defqos" => "defaultqos",
            other => other,
        };
        (key.to_owned(), cell.trim().to_owned())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_becomes_entries() {
        let text = "# To edit this file\nCluster - 'c':Fairshare=1:QOS='normal'\nParent - 'root'\n\
                    Account - 'phys':Description='a: b':Fairshare=10:GrpTRES=cpu=4,gres/gpu:h100=8\n\
                    Parent - 'phys'\nUser - 'ann':DefaultAccount='phys':MaxJobs=5\n";
        let (entries, bad) = read(text);
        assert!(bad.is_empty());
        assert_eq!(entries.len(), 3);
        let phys = &entries[1];
        assert_eq!((phys.entity, phys.names[0].as_str(), phys.line), (Entity::Account, "phys", 4));
        let get = |key: &str| phys.settings.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        assert_eq!(get("grptres"), Some("cpu=4,gres/gpu:h100=8"));
        assert_eq!((get("parent"), get("fairshare")), (Some("root"), Some("10")));
        assert!(entries[2].settings.contains(&("account".into(), "phys".into())));
    }

    #[test]
    fn tables_become_entries_with_parents_first() {
        let text = "Name|Priority|Preempt|MaxTRESPU|\nhigh|100|low|gres/gpu=8|\nlow|1|||\n\
                    Cluster|Account|User|Par Name|Share|MaxJobs|QOS|Def QOS|\n\
                    c|sub||lab|2|||\nc|sub|ann||1|3|high,low|low|\nc|lab||root|5||||\nc|root|||1||normal|\n";
        let (entries, bad) = read(text);
        assert!(bad.is_empty(), "{bad:?}");
        let names: Vec<&str> = entries.iter().map(|entry| entry.names[0].as_str()).collect();
        assert_eq!(names, ["high", "low", "lab", "root", "sub", "ann"]);
        assert!(entries[5].settings.contains(&("defaultqos".into(), "low".into())));
    }

    #[test]
    fn a_tree_is_read_by_its_indentation() {
        let text = "Account|User|Share\nroot||1\n lab||5\n  sub||2\n  sub|ann|1\n other||1\n";
        let (entries, bad) = read(text);
        assert!(bad.is_empty(), "{bad:?}");
        let parent = |name: &str| {
            let entry = entries.iter().find(|e| e.names[0] == name).unwrap();
            entry.settings.iter().find(|(k, _)| k == "parent").map(|(_, v)| v.clone()).unwrap()
        };
        assert_eq!(
            (parent("lab"), parent("sub"), parent("other")),
            ("root".into(), "lab".into(), "root".into())
        );
    }
}
