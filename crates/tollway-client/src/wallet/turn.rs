//! The right to buy from one origin with one wallet. One process at a time has it, and one task at a
//! time within the process; the operating system takes it back from a process that ends, however it
//! ends.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hex::DisplayHex;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;

use super::{Purchase, WalletError};
use crate::origin::Origin;

/// How long to wait before another process's lock is tried again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Nobody else buys from this origin with this wallet while it lives. What begins or ends a payment
/// asks for one.
#[must_use]
pub struct Turn {
    origin: Origin,
    _guard: Box<dyn Send + Sync>,
}

impl Turn {
    /// One that lasts as long as `guard`.
    pub fn new(origin: Origin, guard: impl Send + Sync + 'static) -> Self {
        Self { origin, _guard: Box::new(guard) }
    }

    /// From whom one may buy.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether it is the right one for this purchase.
    ///
    /// # Errors
    /// [`WalletError::WrongTurn`].
    pub fn covers(&self, purchase: &Purchase) -> Result<(), WalletError> {
        if self.origin == purchase.origin {
            return Ok(());
        }
        let (turn, origin) = (self.origin.clone(), purchase.origin.clone());
        Err(WalletError::WrongTurn { turn, origin })
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({})", self.origin)
    }
}

/// Whose turn it is within this process.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Origin, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for our turn.
    pub(super) async fn take(
        &self,
        origin: &Origin,
        waiting: &mut Once<'_>,
    ) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().expect("nothing panics under this lock");
            // Those that nobody holds or waits for are only in the map.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(origin.clone()).or_default())
        };
        match Arc::clone(&turn).try_lock_owned() {
            Ok(guard) => guard,
            Err(_) => {
                waiting.say();
                turn.lock_owned().await
            }
        }
    }
}

/// Says once that there is somebody to wait for.
pub(super) struct Once<'a> {
    say: &'a (dyn Fn() + Send + Sync),
    said: bool,
}

impl<'a> Once<'a> {
    pub(super) fn new(say: &'a (dyn Fn() + Send + Sync)) -> Self {
        Self { say, said: false }
    }

    fn say(&mut self) {
        if !std::mem::replace(&mut self.said, true) {
            (self.say)();
        }
    }
}

/// Locks the file that stands for `origin` in `folder`. Lock files stay: deleting one that another
/// process is about to lock would give two processes a lock each.
pub(super) async fn lock(
    folder: &Path,
    origin: &Origin,
    waiting: &mut Once<'_>,
) -> io::Result<File> {
    let name = Sha256::digest(origin.as_str())[..16].to_lower_hex_string();
    let file = open(&folder.join(name))?;
    let mut pause = FIRST_PAUSE;
    // Tried again and again rather than waited for: a thread that waits in the system for a lock
    // cannot be called off when the caller gives up.
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                waiting.say();
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Locks the wallet itself, for as long as the file lives. For what is short: it blocks.
pub(super) fn lock_all(folder: &Path) -> io::Result<File> {
    let file = open(&folder.join("opening"))?;
    file.lock()?;
    Ok(file)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
