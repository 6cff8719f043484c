//! The configuration's file while a gateway runs: read again when somebody has written it, and written
//! here when an administrator changes a service. There is one way in for both, so that nothing is put in
//! force twice and no change by hand is lost: a change is made to the text that is on the disk, checked
//! as at a start, and refused when the text is no longer the one that the administrator has seen.

mod edit;
mod json;
mod pending;
mod redact;
mod write;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use hex::DisplayHex;
use sha2::{Digest, Sha256};
use toml_edit::DocumentMut;

use crate::config::{Config, Mistakes};
use crate::doors::{self, Doors};
use crate::gateway::{self, Gateway};
use crate::upstream::OpenError;

pub use edit::EditError;
pub(crate) use edit::{add, order, remove, replace, services};
pub(crate) use json::{from_json, to_json};
pub(crate) use redact::redacted;
pub use write::WriteError;

/// The file that a gateway was opened from, and goes on following.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    gateway: Gateway,
    /// The listeners that follow the configuration, if they do.
    doors: Option<Doors>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What the process was started with.
    started: Config,
    standing: Standing,
}

/// Which text is in force.
#[derive(Clone)]
pub(crate) struct Standing {
    pub(crate) text: String,
    /// How many texts have been in force since the start, this one included.
    pub(crate) generation: u64,
    pub(crate) since: SystemTime,
    /// The last text that was read and could not be put in force.
    pub(crate) refused: Option<String>,
    /// The keys of which it says something else than the process was started with, and which only a new
    /// start can change.
    pub(crate) at_next_start: Vec<&'static str>,
}

/// Everything of a configuration that can fail, done.
struct Ready {
    gateway: gateway::Ready,
    doors: Option<doors::Changes>,
}

/// Names one text of the file: what is changed must be what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(String);

/// What came of reading the file again.
///
/// Exhaustive on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// It says what is in force already.
    Same,
    /// It says something else, which is in force now.
    Changed {
        /// How many services there are now.
        services: usize,
        /// The keys that say something else than the process was started with, and take effect at the
        /// next start only.
        at_next_start: Vec<&'static str>,
    },
}

/// The file could not be put in force; what was in force still is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// It cannot be read.
    #[error("reading the configuration {} failed", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It says what it may not.
    #[error("the configuration has mistakes")]
    Mistakes(#[source] Mistakes),
    /// What it names cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// A change was not made.
///
/// Exhaustive on purpose: each has its own answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// The file is not the one that was seen.
    #[error("the configuration has changed since it was read; read it again, and then change it")]
    Stale,
    /// The file is not TOML, or cannot be read.
    #[error(transparent)]
    File(#[from] ReloadError),
    /// The change cannot be made to it.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The changed file would have mistakes.
    #[error("the changed configuration would have mistakes; nothing was changed")]
    Mistakes(Mistakes),
    /// What the changed file names cannot be opened.
    #[error("the changed configuration cannot be used; nothing was changed")]
    Open(#[source] OpenError),
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl ConfigFile {
    /// The file at `path`, which says `text`; from that `config` was read, and that is what `gateway`
    /// was opened with.
    pub fn new(path: PathBuf, text: String, config: Config, gateway: Gateway) -> Self {
        let since = SystemTime::now();
        let at_next_start = Vec::new();
        let standing = Standing { text, generation: 1, since, refused: None, at_next_start };
        let state = Mutex::new(State { started: config, standing });
        Self { path, gateway, doors: None, state }
    }

    /// Has these listeners follow what the file says. Without them `metrics` and `authorize` take effect
    /// at the next start.
    #[must_use]
    pub fn with_doors(self, doors: Doors) -> Self {
        Self { doors: Some(doors), ..self }
    }

    /// The listeners that follow it, if they do.
    pub fn doors(&self) -> Option<&Doors> {
        self.doors.as_ref()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it again and puts it in force. This waits for the disk.
    ///
    /// # Errors
    /// See [`ReloadError`]; then nothing has changed.
    pub fn reload(&self) -> Result<Reloaded, ReloadError> {
        let mut state = self.state();
        let text = self.read().inspect_err(|_| self.gateway.reload_failed())?;
        if text == state.standing.text {
            state.standing.refused = None;
            return Ok(Reloaded::Same);
        }
        match self.take(&text) {
            Ok(config) => Ok(self.enforced(&mut state, text, &config)),
            Err(why) => {
                state.standing.refused = Some(text);
                Err(why)
            }
        }
    }

    fn take(&self, text: &str) -> Result<Config, ReloadError> {
        let config = Config::read(text).map_err(|mistakes| {
            self.gateway.reload_failed();
            ReloadError::Mistakes(mistakes)
        })?;
        let ready = self.prepare(&config).inspect_err(|_| self.gateway.reload_failed())?;
        self.enforce(ready);
        Ok(config)
    }

    fn prepare(&self, config: &Config) -> Result<Ready, OpenError> {
        let gateway = self.gateway.prepare(config)?;
        let doors = self.doors.as_ref().map(|doors| doors.prepare(config)).transpose()?;
        Ok(Ready { gateway, doors })
    }

    fn enforce(&self, ready: Ready) {
        self.gateway.enforce(ready.gateway);
        if let (Some(doors), Some(changes)) = (&self.doors, ready.doors) {
            doors.enforce(changes);
        }
    }

    /// The same when it was written, as far as can be told. `None`: it says what it said at the last
    /// look. A mistake is told once, not at each look.
    ///
    /// # Errors
    /// See [`ReloadError`]; then nothing has changed.
    pub fn reload_if_written(&self) -> Result<Option<Reloaded>, ReloadError> {
        let told = {
            let state = self.state();
            let text = self.read()?;
            text == state.standing.text || Some(text) == state.standing.refused
        };
        if told { Ok(None) } else { self.reload().map(Some) }
    }

    /// What is in force.
    pub(crate) fn standing(&self) -> Standing {
        self.state().standing.clone()
    }

    /// What the file says at this moment, in force or not.
    pub(crate) fn read(&self) -> Result<String, ReloadError> {
        let failed = |source| ReloadError::Read { path: self.path.clone(), source };
        std::fs::read_to_string(&self.path).map_err(failed)
    }

    /// Changes the file, and puts what it then says in force: all of it or nothing. `seen` is what the
    /// file must say still; `None` takes it as it is. This waits for the disk.
    pub(crate) fn change(
        &self,
        seen: Option<&Tag>,
        change: impl FnOnce(&mut DocumentMut) -> Result<(), EditError>,
    ) -> Result<Tag, ChangeError> {
        let mut state = self.state();
        let old = self.read()?;
        if seen.is_some_and(|seen| *seen != Tag::of(&old)) {
            return Err(ChangeError::Stale);
        }
        let mut document: DocumentMut = match old.parse() {
            Ok(document) => document,
            // Our own reader says it with its line.
            Err(_) => match Config::read(&old) {
                Err(mistakes) => return Err(ReloadError::Mistakes(mistakes).into()),
                Ok(_) => return Err(EditError::Unreadable.into()),
            },
        };
        change(&mut document)?;
        let new = document.to_string();
        let config = Config::read(&new).map_err(ChangeError::Mistakes)?;
        let ready = self.prepare(&config).map_err(ChangeError::Open)?;
        if new != old && !write::replace(&self.path, &old, &new)? {
            return Err(ChangeError::Stale);
        }
        if new != state.standing.text {
            self.enforce(ready);
            self.enforced(&mut state, new.clone(), &config);
        }
        Ok(Tag::of(&new))
    }

    /// Notes that another text is in force.
    fn enforced(&self, state: &mut State, text: String, config: &Config) -> Reloaded {
        let at_next_start = pending::pending(&state.started, config, self.doors.is_some());
        let (generation, since) = (state.standing.generation + 1, SystemTime::now());
        let services = config.services.len();
        tracing::info!(services, generation, "the new configuration is in force");
        for key in &at_next_start {
            tracing::warn!("`{key}` has changed; that takes effect at the next start");
        }
        let pending = at_next_start.clone();
        state.standing =
            Standing { text, generation, since, refused: None, at_next_start: pending };
        Reloaded::Changed { services, at_next_start }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tag {
    /// That of a text.
    pub(crate) fn of(text: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(text).into();
        Self(format!("\"{}\"", digest[..16].as_hex()))
    }

    /// As it was sent back, quotes included.
    pub(crate) fn sent(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text may hold passwords.
impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").field("generation", &self.generation).finish_non_exhaustive()
    }
}
