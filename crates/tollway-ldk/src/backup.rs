//! What can be written on paper: the node's secret in words, and who its channels are with.
//!
//! The twenty-four words (BIP 39) are the node's thirty-two secret bytes themselves, and no other wallet
//! derives the same keys from them. They bring back what is on the chain. What is in channels they bring
//! back only when the peers close them: then the node finds its part of each by its script. The
//! state of channels cannot be backed up: a copy of it is out of date at the next payment, and a node
//! that runs from an old copy can lose everything.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bip39::Mnemonic;
use l402::{Network, NodeId, Secret};

use crate::store::{Store, StoreError};

pub(crate) const SEED: [&str; 3] = ["node", "", "seed"];
pub(crate) const NETWORK: [&str; 3] = ["node", "", "network"];
/// The height at which the node was new: nothing of its is in blocks before that.
pub(crate) const BORN: [&str; 3] = ["node", "", "born"];
/// Since when a node has been looking for what was its before; Unix seconds.
pub(crate) const RESTORED: [&str; 3] = ["node", "", "restored"];

/// What to keep in a safe place, and to write anew after each new channel.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The network.
    pub network: Network,
    /// Twenty-four words. Whoever has them has the money.
    pub words: Secret<String>,
    /// The height of the first block that may hold something of the node's.
    pub born: u32,
    /// Its peers and where they are: those who can close its channels.
    pub peers: Vec<(NodeId, String)>,
}

/// A backup could not be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The folder or its file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no node in the folder.
    #[error("there is no node in this folder")]
    Empty,
    /// There is a node in the folder. It is never written over.
    #[error(
        "there is a node in this folder already, and it is not written over; use another folder"
    )]
    Occupied,
    /// The words are not those of a node.
    #[error("these are not the words of a node: {0}")]
    Words(String),
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Backup {
    /// That of the node in a folder, whether it runs or not.
    ///
    /// # Errors
    /// [`BackupError::Empty`]; [`BackupError::Store`].
    pub fn of(folder: &Path) -> Result<Self, BackupError> {
        Self::read(&Store::look(folder)?.ok_or(BackupError::Empty)?)
    }

    pub(crate) fn read(store: &Store) -> Result<Self, BackupError> {
        let seed = store.get(SEED)?.ok_or(BackupError::Empty)?;
        let network = store.get(NETWORK)?.ok_or(BackupError::Empty)?;
        let network = String::from_utf8_lossy(&network).parse().map_err(|_| BackupError::Empty)?;
        let words = Mnemonic::from_entropy(&seed).map_err(|e| BackupError::Words(e.to_string()))?;
        let peers = store.peers()?.into_iter().map(|(id, address)| (NodeId(id), address));
        Ok(Self {
            network,
            words: Secret::new(words.to_string()),
            born: number(store.get(BORN)?),
            peers: peers.collect(),
        })
    }

    /// Makes a node of it in a new folder. When it is opened it looks for its money from the block
    /// `born` on, dials its peers so that they close the channels it had, and takes its part of them.
    ///
    /// # Errors
    /// [`BackupError::Occupied`]; [`BackupError::Words`]: a word is wrong, missing or unknown.
    pub fn restore(&self, folder: &Path) -> Result<(), BackupError> {
        let words = Mnemonic::parse(self.words.expose().as_str());
        let words = words.map_err(|error| BackupError::Words(error.to_string()))?;
        let seed = words.to_entropy();
        if seed.len() != 32 {
            let why = format!("there are {} of them, not 24", words.word_count());
            return Err(BackupError::Words(why));
        }
        let store = Store::open(folder)?;
        if store.get(SEED)?.is_some() {
            return Err(BackupError::Occupied);
        }
        store.put(NETWORK, self.network.to_string().as_bytes())?;
        store.put(BORN, &self.born.to_be_bytes())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        store.put(RESTORED, &now.as_secs().to_be_bytes())?;
        for (id, address) in &self.peers {
            store.put_peer(&id.0, address)?;
        }
        // Last: what is there without a seed is no node yet.
        Ok(store.put(SEED, &seed)?)
    }
}

/// For so long a node that was made from its words looks for what was its before: peers may be away for
/// a while, and asking about two thousand scripts has its price.
const LOOKING: Duration = Duration::from_secs(60 * 24 * 3600);

/// Whether it still looks.
pub(crate) fn is_looking(restored: Option<Vec<u8>>) -> bool {
    let since = restored.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
    since.is_some_and(|since| {
        let until = UNIX_EPOCH + Duration::from_secs(since) + LOOKING;
        SystemTime::now() < until
    })
}

/// A number as it is kept; 0 when it is not.
pub(crate) fn number(kept: Option<Vec<u8>>) -> u32 {
    kept.and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup() -> Backup {
        // The first of BIP 39's own examples of 32 bytes.
        let words = format!("{}art", "abandon ".repeat(23));
        Backup { network: Network::Signet, words: Secret::new(words), born: 7, peers: Vec::new() }
    }

    #[test]
    fn words_become_the_node_that_had_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node");
        let mut backup = backup();
        backup.peers.push((NodeId([2; 33]), "peer.example:9735".to_owned()));
        assert!(matches!(Backup::of(&path), Err(BackupError::Empty)));
        backup.restore(&path).unwrap();
        assert_eq!(Store::open(&path).unwrap().get(SEED).unwrap(), Some(vec![0; 32]));
        let again = Backup::of(&path).unwrap();
        assert_eq!(again.words.expose(), backup.words.expose());
        assert_eq!((again.network, again.born, again.peers), (Network::Signet, 7, backup.peers));
    }

    #[test]
    fn a_node_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        backup().restore(folder.path()).unwrap();
        assert!(matches!(backup().restore(folder.path()), Err(BackupError::Occupied)));
    }

    #[test]
    fn wrong_words_are_refused_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let twelve = format!("{}about", "abandon ".repeat(11));
        let unchecked = format!("{}abandon", "abandon ".repeat(23));
        for words in [twelve, unchecked, "hunter2".to_owned(), String::new()] {
            let wrong = Backup { words: Secret::new(words.clone()), ..backup() };
            let refused = wrong.restore(folder.path()).unwrap_err();
            assert!(matches!(refused, BackupError::Words(_)), "{refused}");
            assert!(
                !refused.to_string().contains("hunter2") && !format!("{wrong:?}").contains("ab")
            );
        }
    }
}
