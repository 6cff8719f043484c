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
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    format: Format,
    started: Instant,
    tollway_home: Option<OsString>,
    home: Option<OsString>,
    runtime_folder: Option<OsString>,
    config_folder: Option<OsString>,
    log_filter: Option<String>,
    program: String,
}

impl Shell {
    /// Reads what we need of the process.
    pub(crate) fn from_process(started: Instant, format: Format) -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            format,
            started,
            tollway_home: set("TOLLWAY_HOME"),
            home: set("HOME"),
            runtime_folder: set("XDG_RUNTIME_DIR"),
            config_folder: set("XDG_CONFIG_HOME"),
            program: program(std::env::args().next().unwrap_or_default()),
            log_filter: set("TOLLWAY_LOG").and_then(|filter| filter.into_string().ok()),
        }
    }

    /// When the process began.
    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// Whether programs read our output.
    pub(crate) fn is_json(&self) -> bool {
        self.format != Format::Text
    }

    /// Whether each thing is to be one line of JSON, as soon as it is there.
    pub(crate) fn is_ndjson(&self) -> bool {
        self.format == Format::Ndjson
    }

    /// Where Tollway keeps what must last: `$TOLLWAY_HOME`, or `.tollway` in the home folder.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        let home = || self.home.as_ref().map(|home| PathBuf::from(home).join(".tollway"));
        self.tollway_home.as_ref().map(PathBuf::from).or_else(home)
    }

    /// The user's home folder.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.home.as_ref().map(PathBuf::from)
    }

    /// The user's settings: in `$TOLLWAY_HOME` where that is set, otherwise where the system keeps
    /// settings (XDG Base Directory Specification).
    pub(crate) fn settings_file(&self) -> Option<PathBuf> {
        if let Some(folder) = &self.tollway_home {
            return Some(PathBuf::from(folder).join("config.toml"));
        }
        let set = self.config_folder.as_ref().map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = set.or_else(|| Some(self.home()?.join(".config")));
        folder.map(|folder| folder.join("tollway").join("config.toml"))
    }

    /// [`Shell::folder`], for a command that cannot do without.
    pub(crate) fn need_folder(&self) -> Result<PathBuf, Failure> {
        self.folder().ok_or(Failure::NoHome)
    }

    /// Where a purse is unless it is told: gone with the session where the system has such a place.
    pub(crate) fn purse_socket(&self) -> Result<PathBuf, Failure> {
        let runtime = self.runtime_folder.as_ref().filter(|_| self.tollway_home.is_none());
        match runtime {
            Some(folder) => Ok(PathBuf::from(folder).join("tollway").join("purse.sock")),
            None => Ok(self.need_folder()?.join("purse.sock")),
        }
    }

    /// How this program was called, for commands that are printed to be copied.
    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// Which log lines the user wants.
    pub(crate) fn log_filter(&self) -> Option<&str> {
        self.log_filter.as_deref()
    }

    /// What an environment variable says that a configuration names.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
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
            Format::Ndjson if output.is_list() => {
                for item in output.json().and_then(|json| json.as_array()).into_iter().flatten() {
                    writeln!(stdout, "{}", escape_json(item))?;
                }
            }
            Format::Json | Format::Ndjson => {
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
        // If stderr is closed, the exit code has to do.
        let _ = match self.format {
            Format::Json | Format::Ndjson => {
                let error = json!({ "error": failure.json(exit) });
                writeln!(stderr, "{}", escape_json(&error))
            }
            Format::Text => {
                let mut text =
                    format!("{} {}\n", paint(BAD, "error:"), escape(&failure.to_string()));
                for cause in failure.causes() {
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

/// The program as a shell finds it. What a shell would read as more than one word is not printed.
fn program(called: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    let usable = !called.is_empty() && called.chars().all(plain);
    if usable { called } else { "tollway".to_owned() }
}
