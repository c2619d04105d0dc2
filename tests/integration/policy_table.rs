//! The table "which policy with what" of LIMITATIONS.md is what the policies' constants say.

use windtunnel::scheduler::knows::{Capability, Family, table};

use super::terminal::{Desk, shipped};

const BEGIN: &str = "<!-- policies: begin -->\n";
const END: &str = "<!-- policies: end -->";

/// Or writes it, with `WINDTUNNEL_UPDATE=1`.
#[test]
fn the_paper_has_the_table_of_the_code() {
    let path = shipped("LIMITATIONS.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the table's begin");
    let (old, after) = rest.split_once(END).expect("the table's end");
    let new = format!("\n{}\n", table());
    if std::env::var_os("WINDTUNNEL_UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{new}{END}{after}")).unwrap();
    } else {
        assert_eq!(old, new, "run this test with WINDTUNNEL_UPDATE=1");
    }
}

#[test]
fn the_catalogue_prints_it() {
    let rows = Desk::new().run(&["catalog", "policies", "--json"]).ok().json();
    let rows = rows["policies"].as_array().unwrap();
    assert_eq!(rows.len(), Capability::ALL.len());
    let knows = Family::Slurm.knows().has(Capability::Failures, false);
    let row = rows.iter().find(|row| row["capability"] == "`failures`").unwrap();
    assert_eq!(row["slurm"] != "no", knows);
}
