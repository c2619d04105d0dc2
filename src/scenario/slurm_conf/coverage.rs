//! What became of every option of a site.

use std::sync::Arc;

/// How an option is treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// As Slurm does it.
    Honoured,
    /// Differently; how.
    Approximated(&'static str),
    /// Not at all, and why that does not matter here.
    Ignored(&'static str),
    /// Not at all, and it may matter.
    NotYet(&'static str),
}

impl Treatment {
    /// One word for tables.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::Approximated(_) => "approximated",
            Self::Ignored(_) => "ignored",
            Self::NotYet(_) => "not yet",
        }
    }

    /// How or why.
    #[must_use]
    pub fn note(&self) -> &'static str {
        match self {
            Self::Honoured => "",
            Self::Approximated(note) | Self::Ignored(note) | Self::NotYet(note) => note,
        }
    }
}

/// One option as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The option's name as written.
    pub option: String,
    /// Its value as written.
    pub value: String,
    /// File.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u64,
    /// What became of it.
    pub treatment: Treatment,
}

/// All options in the order of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Options.
    pub rows: Vec<Covered>,
}

impl Coverage {
    pub(super) fn note(&mut self, pair: &super::lines::Pair, treatment: Treatment) {
        self.rows.push(Covered {
            option: pair.key.clone(),
            value: pair.value.clone(),
            file: Arc::clone(&pair.file),
            line: pair.line,
            treatment,
        });
    }

    /// Says anew what became of an option, once another file has been read.
    pub(super) fn treat(&mut self, option: &str, treatment: Treatment) {
        let rows = self.rows.iter_mut().filter(|row| row.option.eq_ignore_ascii_case(option));
        rows.for_each(|row| row.treatment = treatment.clone());
    }

    /// Options with a treatment of this word.
    pub fn of<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a Covered> + 'a {
        self.rows.iter().filter(move |row| row.treatment.word() == word)
    }
}
