//! The surroundings of a command: where it prints, in which format, and the few things that it may
//! know of the process. The environment is read here and in the flags' own definitions, nowhere
//! else.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;

use crate::cli::Format;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::terminal::{BAD, KEY, escape, escape_json, paint};

/// What a command may know and where it prints.
#[derive(Debug)]
pub(crate) struct Shell {
    format: Format,
    started: Instant,
    tollway_home: Option<OsString>,
    home: Option<OsString>,
}

impl Shell {
    /// Reads what we need of the process.
    pub(crate) fn from_process(started: Instant, format: Format) -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self { format, started, tollway_home: set("TOLLWAY_HOME"), home: set("HOME") }
    }

    /// When the process began.
    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// Whether programs read our output.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Where Tollway keeps what must last: `$TOLLWAY_HOME`, or `.tollway` in the home folder.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        let home = || self.home.as_ref().map(|home| PathBuf::from(home).join(".tollway"));
        self.tollway_home.as_ref().map(PathBuf::from).or_else(home)
    }

    /// One line of talk on stderr, for people only. What is hostile in it has been escaped.
    pub(crate) fn say(&self, line: &str) {
        if !self.is_json() {
            // Nobody to tell, nothing to do about it.
            let _ = writeln!(anstream::stderr(), "{line}");
        }
    }

    /// Prints what a command has to say, on stdout.
    pub(crate) fn print(&self, output: &Output) -> io::Result<()> {
        let mut stdout = anstream::stdout().lock();
        match self.format {
            Format::Text => {
                if let Some(text) = output.text() {
                    writeln!(stdout, "{text}")?;
                }
            }
            Format::Json => {
                if let Some(json) = output.json() {
                    writeln!(stdout, "{}", escape_json(json))?;
                }
            }
        }
        stdout.flush()
    }

    /// Prints why a command failed, on stderr: the message, each cause, and what to do.
    pub(crate) fn report(&self, failure: &Failure, exit: Exit) {
        let mut stderr = anstream::stderr().lock();
        let causes = causes(failure);
        // If stderr is closed, the exit code has to do.
        let _ = match self.format {
            Format::Json => {
                let error = json!({
                    "error": {
                        "kind": failure.kind(),
                        "message": failure.to_string(),
                        "causes": causes,
                        "hint": failure.hint(),
                        "exit_code": exit.code(),
                    }
                });
                writeln!(stderr, "{}", escape_json(&error))
            }
            Format::Text => {
                let mut text =
                    format!("{} {}\n", paint(BAD, "error:"), escape(&failure.to_string()));
                for cause in causes {
                    text.push_str(&format!("  because: {}\n", escape(&cause)));
                }
                if let Some(hint) = failure.hint() {
                    text.push_str(&format!("{} {}\n", paint(KEY, "hint:"), escape(&hint)));
                }
                stderr.write_all(text.as_bytes())
            }
        };
    }
}

/// The causes of a failure, the nearest first, without those that only repeat what was said.
fn causes(failure: &Failure) -> Vec<String> {
    let mut said = failure.to_string();
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(failure);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            causes.push(text.clone());
            said.push_str(&text);
        }
        next = cause.source();
    }
    causes
}
