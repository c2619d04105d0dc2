//! The cells that only some jobs have: arrays, dependencies, begin and cancel times, and what is kept
//! for later versions.

use super::cells::Cell;
use super::problem::{Problem, code};
use crate::workload::DependencyKind;

/// Slurm's own bound on array indices (`MaxArraySize` is at most 4,000,001).
const MAX_ARRAY_INDEX: u32 = 4_000_000;

/// `0-9%4` or `1,3,5-9:2`: indices in rising order and how many may run at once.
pub(super) fn parse_array(cell: Cell<'_>) -> Result<(Vec<u32>, Option<u32>), Problem> {
    let bad = |why: &str| {
        let message = format!("array '{}': {why}", super::problem::shown(cell.text, 0));
        Problem::new(code::ARRAY_SYNTAX, "an array that cannot be read", message)
            .at(cell.column)
            .help("write indices as Slurm does: 0-9, 1,3,5 or 0-20:5, with %4 for four at once")
    };
    let number = |text: &str| -> Result<u32, Problem> {
        let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        let value =
            if digits { text.parse::<u32>().unwrap_or(u32::MAX) } else { return Err(bad("not a number")) };
        if value > MAX_ARRAY_INDEX { Err(bad("an index above 4000000")) } else { Ok(value) }
    };
    let (list, limit) = match cell.str().split_once('%') {
        None => (cell.str(), None),
        Some((list, limit)) => match number(limit)? {
            0 => return Err(bad("at least one task must be allowed to run")),
            limit => (list, Some(limit)),
        },
    };
    let mut indices: Vec<u32> = Vec::new();
    for piece in list.split(',') {
        let (range, step) = match piece.split_once(':') {
            None => (piece, 1),
            Some((range, step)) => (range, number(step)?),
        };
        let (first, last) = match range.split_once('-') {
            None => (number(range)?, number(range)?),
            Some((first, last)) => (number(first)?, number(last)?),
        };
        if first > last || step == 0 {
            return Err(bad("a range must rise"));
        }
        indices.extend((first..=last).step_by(step as usize));
        if indices.len() > MAX_ARRAY_INDEX as usize + 1 {
            return Err(bad("too many tasks"));
        }
    }
    indices.sort_unstable();
    indices.dedup();
    Ok((indices, limit))
}

/// One condition whose jobs are still names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedCondition {
    pub kind: DependencyKind,
    pub jobs: Vec<Box<str>>,
}

/// `afterok:12:13,afterany:14`, as sbatch's `--dependency`. All conditions must be met; alternatives
/// (`?`) and delays (`after:12+5`) are refused, because they would be replayed wrongly.
pub(super) fn parse_after(cell: Cell<'_>) -> Result<Vec<NamedCondition>, Problem> {
    let bad = |why: &str| {
        let message = format!("after '{}': {why}", super::problem::shown(cell.text, 0));
        Problem::new(code::DEPENDENCY_SYNTAX, "a dependency that cannot be read", message)
            .at(cell.column)
            .help("write type:id[:id]..., several with a comma; types: after afterany afterok afternotok aftercorr singleton")
    };
    if cell.text.contains(&b'?') {
        return Err(bad("alternatives (?) are not supported"));
    }
    let mut conditions = Vec::new();
    for piece in cell.str().split(',') {
        let mut words = piece.trim().split(':');
        let kind = match words.next() {
            Some("after") => DependencyKind::After,
            Some("afterany") => DependencyKind::AfterAny,
            Some("afterok") => DependencyKind::AfterOk,
            Some("afternotok") => DependencyKind::AfterNotOk,
            Some("aftercorr") => DependencyKind::AfterCorr,
            Some("singleton") => DependencyKind::Singleton,
            _ => return Err(bad("unknown type")),
        };
        let jobs: Vec<Box<str>> = words.map(Box::from).collect();
        if jobs.iter().any(|name| name.is_empty()) || jobs.is_empty() != (kind == DependencyKind::Singleton) {
            return Err(bad("a job id is missing or too many"));
        }
        if kind == DependencyKind::After && jobs.iter().any(|name| name.contains('+')) {
            return Err(bad("delays (+minutes) are not supported"));
        }
        conditions.push(NamedCondition { kind, jobs });
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> Cell<'_> {
        Cell { name: "array", text: text.as_bytes(), column: 7 }
    }

    #[test]
    fn array_indices() {
        let cases = [
            ("0-3", vec![0, 1, 2, 3], None),
            ("0-9%4", (0..10).collect(), Some(4)),
            ("1,3,5-9:2", vec![1, 3, 5, 7, 9], None),
            ("3,1,3", vec![1, 3], None),
            ("7", vec![7], None),
        ];
        for (text, indices, limit) in cases {
            assert_eq!(parse_array(cell(text)).expect(text), (indices, limit), "{text}");
        }
        for text in [
            "",
            "a",
            "3-1",
            "0-9%0",
            "0-4:0",
            "0-4000001",
            "1,,2",
            "0-9%",
            "99999999999",
            "0-4000000,0-4000000",
        ] {
            assert_eq!(parse_array(cell(text)).expect_err(text).code, code::ARRAY_SYNTAX, "{text}");
        }
    }

    #[test]
    fn dependencies() {
        let conditions = parse_after(cell("afterok:12:13_4,singleton")).expect("valid");
        assert_eq!(conditions[0].kind, DependencyKind::AfterOk);
        assert_eq!(&*conditions[0].jobs[1], "13_4");
        assert_eq!(conditions[1].kind, DependencyKind::Singleton);
        for text in ["", "later:1", "afterok", "afterok:", "afterok:1?afterok:2", "after:1+5", "singleton:1"]
        {
            assert_eq!(parse_after(cell(text)).expect_err(text).code, code::DEPENDENCY_SYNTAX, "{text}");
        }
    }
}
