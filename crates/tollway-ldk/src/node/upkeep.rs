//! What a node does now and then: it keeps what it has learnt about the network, tells the network about
//! itself, and reads the digest of others' channels if it has been told to.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lightning::ln::msgs::SocketAddress;
use lightning::util::ser::Writeable;
use tokio::time::{Instant, MissedTickBehavior};

use super::core::Core;
use crate::digest::Digest;

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_secs(60);
/// How often what payments have taught is written. A crash forgets no more.
const KEEP_SCORES: Duration = Duration::from_secs(10 * 60);
/// How often everything else is done.
const SELDOM: Duration = Duration::from_secs(60 * 60);
/// A digest that could not be had is asked for again after this.
const DIGEST_AGAIN: Duration = Duration::from_secs(5 * 60);

/// The longest name, in bytes (BOLT 7).
const ALIAS: usize = 32;

/// The name that a node tells the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias([u8; ALIAS]);

/// A name that cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node's name is 1 to 32 bytes of text, without control characters")]
pub struct BadAlias;

impl FromStr for Alias {
    type Err = BadAlias;

    fn from_str(name: &str) -> Result<Self, BadAlias> {
        let is_good = (1..=ALIAS).contains(&name.len()) && !name.chars().any(char::is_control);
        let mut bytes = [0; ALIAS];
        match bytes.get_mut(..name.len()) {
            Some(start) if is_good => start.copy_from_slice(name.as_bytes()),
            _ => return Err(BadAlias),
        }
        Ok(Self(bytes))
    }
}

impl std::fmt::Display for Alias {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default().trim_end_matches('\0'))
    }
}

/// How a node is known in public.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Public {
    /// Its name.
    pub alias: Option<Alias>,
    /// Where others may dial it.
    pub addresses: Vec<SocketAddress>,
}

pub(super) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Core {
    /// Does what is due, until it is aborted.
    pub(super) async fn keep_up(self: Arc<Self>, digest: Option<Digest>) {
        let mut clock = tokio::time::interval(LOOK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut scores, mut seldom) = (Instant::now(), Instant::now());
        let mut next_digest = Instant::now();
        let mut told = false;
        loop {
            clock.tick().await;
            if let Some(digest) = digest.as_ref().filter(|_| next_digest <= Instant::now()) {
                let wait = if digest.read_into(&self.graph).await { SELDOM } else { DIGEST_AGAIN };
                next_digest = Instant::now() + wait;
            }
            let is_time = seldom.elapsed() >= SELDOM;
            if is_time || !told {
                told = self.introduce();
            }
            if is_time {
                seldom = Instant::now();
                self.apart(|core| {
                    core.graph.remove_stale_channels_and_tracking();
                    core.keep_graph();
                })
                .await;
            }
            if scores.elapsed() >= KEEP_SCORES {
                scores = Instant::now();
                self.apart(Self::keep_scores).await;
            }
        }
    }

    /// In a thread that may wait for the disk.
    async fn apart(self: &Arc<Self>, what: impl FnOnce(&Self) + Send + 'static) {
        let core = Arc::clone(self);
        if tokio::task::spawn_blocking(move || what(&core)).await.is_err() {
            tracing::error!("the node's upkeep has failed");
        }
    }

    /// Tells the network about this node, if it has a public channel: before that nobody listens.
    fn introduce(&self) -> bool {
        let is_public = self.manager.list_channels().iter().any(|channel| channel.is_announced);
        if is_public {
            let alias = self.public.alias.map_or([0; ALIAS], |alias| alias.0);
            let addresses = self.public.addresses.clone();
            self.peers.broadcast_node_announcement([0; 3], alias, addresses);
            self.peers.process_events();
        }
        is_public
    }

    /// Writes what payments have taught about other channels.
    pub(super) fn keep_scores(&self) {
        let scores = {
            let mut scorer = self.scorer.write().expect("no panic while held");
            use lightning::routing::scoring::ScoreUpdate;
            scorer.time_passed(since_1970());
            scorer.encode()
        };
        self.keep("scores", &scores);
    }

    /// Writes what is known about other channels.
    pub(super) fn keep_graph(&self) {
        self.keep("graph", &self.graph.encode());
    }

    fn keep(&self, what: &str, body: &[u8]) {
        if let Err(error) = self.store.put(["node", "", what], body) {
            tracing::warn!(what, %error, "what was learnt about the network cannot be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_text() {
        for good in ["a", "alice", "søren's shop", &"x".repeat(32)] {
            assert_eq!(good.parse::<Alias>().unwrap().to_string(), good);
        }
        for bad in ["", &"x".repeat(33), "two\nlines", "\0"] {
            assert_eq!(bad.parse::<Alias>(), Err(BadAlias), "{bad:?}");
        }
    }
}
