//! The terminal's table: one rule under the header, 100 columns at most, readable with many designs.

use windtunnel::report::terminal_table;

use super::report_page::Compared;

/// `designs` designs with labels of several words.
fn table(designs: usize) -> String {
    let directory = tempfile::tempdir().unwrap();
    let trace = "job_id,submit_s,run_s,gpus\n1,0,500000,8\n2,0,500000,8\n3,5,100,8\n";
    std::fs::write(directory.path().join("t.csv"), trace).unwrap();
    let mut text = String::from("[workload]\ntrace = \"t.csv\"\n[policy.easy]\n");
    for at in 0..designs {
        text += &format!(
            "[design.d{at}]\nlabel = \"Design number {at} with quite some words to say\"\n\
             [design.d{at}.pool.main]\nnode = \"dgx-h100\"\ncount = {}\n\
             [design.d{at}.pool.main.cost.owned]\n",
            20 + at
        );
    }
    terminal_table(&Compared::of_text(&text, directory.path()).context())
}

#[test]
fn one_rule_and_a_hundred_columns() {
    for designs in 1..=11 {
        let text = table(designs);
        let tables = designs.div_ceil(5);
        let rules = text.lines().filter(|line| !line.is_empty() && line.chars().all(|c| c == '─')).count();
        assert_eq!(rules, tables, "{text}");
        let remarks = text.lines().position(|line| line.contains("jobs, policy")).unwrap();
        for line in text.lines().take(remarks) {
            assert!(line.chars().count() <= 100, "{designs} designs: {line:?}");
        }
        // Figures stay whole: as many rows with each name as there are tables, each with its values.
        for name in ["Jobs completed", "Bounded slowdown, mean", "Cost per useful GPU-hour"] {
            let rows: Vec<&str> = text.lines().filter(|line| line.trim_start().starts_with(name)).collect();
            assert_eq!(rows.len(), tables, "{designs} designs, {name}: {text}");
        }
        let completed = text.lines().filter(|line| line.contains("Jobs completed"));
        let values: usize = completed.map(|line| line.split_whitespace().count() - 2).sum();
        assert_eq!(values, designs, "{text}");
        assert_eq!(text.matches("(baseline)").count(), usize::from(designs > 1), "{text}");
    }
}
