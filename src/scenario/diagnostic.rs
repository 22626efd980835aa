//! What is wrong with a scenario, where, and what would be right.

use std::fmt;

use super::source::{Place, Sources};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where; `None` for the file as a whole.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Something wrong at a place.
    #[must_use]
    pub const fn at(place: Place, message: String) -> Self {
        Self { place: Some(place), message, help: None }
    }

    /// Something wrong with the file as a whole.
    #[must_use]
    pub const fn whole(message: String) -> Self {
        Self { place: None, message, help: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }
}

/// All that is wrong with a scenario, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    sources: Sources,
    list: Vec<Diagnostic>,
}

/// A diagnostic with its place resolved, as data.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Located {
    /// The file's name, or `--set 'text'`.
    pub file: Option<String>,
    /// Line from 1.
    pub line: Option<usize>,
    /// Column from 1, in characters.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Diagnostics {
    /// Sorts `list` by place and drops what is said twice.
    #[must_use]
    pub fn new(sources: Sources, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(|diagnostic| diagnostic.place);
        let mut kept: Vec<Diagnostic> = Vec::with_capacity(list.len());
        for diagnostic in list {
            if !kept.contains(&diagnostic) {
                kept.push(diagnostic);
            }
        }
        Self { sources, list: kept }
    }

    /// One by one, with files, lines and columns.
    pub fn located(&self) -> impl Iterator<Item = Located> {
        self.list.iter().map(|diagnostic| {
            let position = diagnostic.place.and_then(|place| self.sources.position(place));
            Located {
                line: position.as_ref().and_then(|position| position.line),
                column: position.as_ref().map(|position| position.column),
                file: position.map(|position| position.name),
                message: diagnostic.message.clone(),
                help: diagnostic.help.clone(),
            }
        })
    }

    fn show(&self, diagnostic: &Diagnostic, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", diagnostic.message)?;
        let mut gutter = String::new();
        if let Some(at) = diagnostic.place.and_then(|place| self.sources.position(place)) {
            let number = at.line.map_or_else(|| " ".to_owned(), |line| line.to_string());
            gutter = " ".repeat(number.len());
            match at.line {
                Some(line) => writeln!(f, "{gutter}--> {}:{line}:{}", at.name, at.column)?,
                None => writeln!(f, "{gutter}--> in {}, column {}", at.name, at.column)?,
            }
            // A tab is one column wide here, so that the caret stands below its character.
            let text = at.text.replace('\t', " ");
            writeln!(f, "{gutter} |\n{number} | {text}")?;
            writeln!(f, "{gutter} | {}{}", " ".repeat(at.column - 1), "^".repeat(at.width))?;
        }
        match &diagnostic.help {
            Some(help) => writeln!(f, "{gutter} = {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            self.show(diagnostic, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
