//! Groups of users as `getent group` writes them: `name:password:number:member,member`.

use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::scheduler::slurm::config::SlurmConfig;

/// Reads the file into `config`; lines that are none are told.
pub(super) fn read(path: &Path, config: &mut SlurmConfig, diagnostics: &mut Diagnostics) {
    let file: Arc<str> = path.display().to_string().into();
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(why) => {
            let message = format!("cannot read {file}: {why}");
            return diagnostics.push(Diagnostic::error("W0502", message).at(Place::File(file)));
        }
    };
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split(':').collect();
        let [name, _, _, members] = words.as_slice() else {
            let place = Place::Line {
                file: Arc::clone(&file),
                line: at as u64 + 1,
                column: 1,
                text: line.to_owned(),
            };
            let message = format!("`{line}` is no group: name:password:number:members");
            diagnostics
                .push(Diagnostic::error("W0516", message).at(place).help("write what `getent group` prints"));
            continue;
        };
        let members = members.split(',').map(str::trim).filter(|name| !name.is_empty());
        config.accounting.groups.insert((*name).to_owned(), members.map(str::to_owned).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_members() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("group");
        std::fs::write(&path, "wheel:x:10:\nlab:x:100:ann, bob\n\nodd line\n").unwrap();
        let (mut config, mut told) = (SlurmConfig::empty(), Diagnostics::default());
        read(&path, &mut config, &mut told);
        assert_eq!(config.accounting.groups["lab"], ["ann", "bob"]);
        assert!(config.accounting.groups["wheel"].is_empty());
        assert!(matches!(told.kept()[0].place, Place::Line { line: 4, .. }));
    }
}
