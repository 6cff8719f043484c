//! What can be wrong with a configuration, and how it is told: all of it at once, each with its line.

use std::fmt;

/// Everything that is wrong with one configuration, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub(super) Vec<Mistake>);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, counted from 1.
    pub line: usize,
    /// What.
    pub problem: Problem,
}

/// What is wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is not TOML.
    #[error("{0}")]
    Syntax(String),
    /// A key nobody reads. It is refused, because a misspelt price would be a free service.
    #[error("`{key}` is not a key of {place}{}", hint(*nearest, known))]
    UnknownKey {
        /// As it was written.
        key: String,
        /// Of what it is not a key.
        place: &'static str,
        /// The known key that looks most like it, when one does.
        nearest: Option<&'static str>,
        /// Every key that could stand there.
        known: &'static [&'static str],
    },
    /// A key that must be there is not.
    #[error("{place} has no `{key}`; write for example `{example}`")]
    Missing {
        /// Which key.
        key: &'static str,
        /// Where it should be.
        place: String,
        /// A line that would do.
        example: &'static str,
    },
    /// A value of another kind than the key takes.
    #[error("`{key}` is {found}; it takes {wanted}")]
    Kind {
        /// Which key.
        key: String,
        /// What is there, for example `an integer`.
        found: &'static str,
        /// What should be.
        wanted: &'static str,
    },
    /// A value of the right kind that means nothing, or nothing good.
    #[error("`{key} = {value:?}`: {problem}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What is there.
        value: String,
        /// What is the matter with it, and the remedy.
        problem: String,
    },
    /// A key that would do nothing where it stands.
    #[error("`{key}` does nothing here: {because}; take it out")]
    Idle {
        /// Which key.
        key: &'static str,
        /// Why it does nothing.
        because: &'static str,
    },
    /// Two services cannot be told apart.
    #[error("{what} is also that of the service on line {other}")]
    Twice {
        /// Which of their properties is the same.
        what: String,
        /// Where the first one stands.
        other: usize,
    },
}

impl Problem {
    /// Which key it is about, where it is about one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::UnknownKey { key, .. } | Self::Kind { key, .. } => Some(key),
            Self::Missing { key, .. } | Self::Value { key, .. } | Self::Idle { key, .. } => {
                Some(key)
            }
            Self::Syntax(_) | Self::Twice { .. } => None,
        }
    }
}

/// Reads well after "is not a key of ...".
fn hint(nearest: Option<&'static str>, known: &[&str]) -> String {
    match nearest {
        Some(key) => format!("; did you mean `{key}`?"),
        None => format!("; known are {}", known.join(", ")),
    }
}

impl Mistakes {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

/// One line each: `line 7: ...`.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{mistake}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for Mistakes {}
