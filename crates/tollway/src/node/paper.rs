//! The embedded node's backup as text: what `tollway node backup` writes and `tollway node restore`
//! reads. One thing a line, a word and what belongs to it; `#` begins a remark. Bare words are taken
//! too, for whoever has nothing else.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use l402::{Network, NodeId, NodeUrl, OpenError, Secret};
use tollway_ldk::{Backup, BackupError};

use crate::exit::Exit;
use crate::shell::Shell;
use crate::{files, nodes};

/// What the words are good for, for the one who keeps them.
pub(crate) const WORTH: &str = "\
The words bring back what is on the chain, for certain, and the node's part of each channel that its peer
closes. They do not bring back payments under way, the list of payments, or the channels themselves. Write
this anew after each new channel: it names the peers who can close them. Whoever has the words has the
money.";

/// The words could not be kept or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PaperFailure {
    /// Another kind of node has a backup of its own kind.
    #[error("only the embedded node's secret is words, and `{scheme}:` names another kind of node")]
    NotEmbedded { scheme: String },
    /// Words that go into a file or a program are not shown without being asked for.
    #[error("the words are shown on a terminal only")]
    Nobody,
    /// It may hold another node's words.
    #[error("{} is there already, and is not written over", .0.display())]
    Exists(PathBuf),
    /// The file or the terminal failed.
    #[error("{what}")]
    Io { what: String, source: io::Error },
    /// The text is none that was written by `backup`.
    #[error("line {line}: {problem}")]
    Text { line: usize, problem: &'static str },
    /// The words belong to a node on another network.
    #[error("the words are those of a node on {theirs}, and the URL says {asked}")]
    OtherNetwork { theirs: Network, asked: Network },
    /// The node's folder.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The URL.
    #[error(transparent)]
    Url(#[from] OpenError),
}

impl PaperFailure {
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Io { .. } | Self::Backup(BackupError::Store(_)) => Exit::General,
            _ => Exit::Usage,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotEmbedded { .. } => {
                "name the node by its own URL, `--node 'ldk:/folder?network=…&chain=…'`, also while \
                 `tollway node run` has it; other nodes have backups of their own"
            }
            Self::Nobody => {
                "run it on a terminal, or give `--to FILE`: only you will be able to read it"
            }
            Self::Exists(_) => "name another file",
            Self::Text { .. } => {
                "it is read as `tollway node backup --to FILE` writes it, or as nothing but the words"
            }
            Self::OtherNetwork { .. } => "name the network that the node was on",
            Self::Backup(BackupError::Empty) => "is this the folder that `tollway node run` has?",
            Self::Io { .. } | Self::Backup(_) | Self::Url(_) => return None,
        };
        Some(hint.to_owned())
    }
}

/// A backup, as it is written.
pub(crate) struct Paper<'a>(pub(crate) &'a Backup);

impl fmt::Display for Paper<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Backup { network, words, born, peers } = self.0;
        writeln!(f, "# The backup of a Lightning node of Tollway's.")?;
        WORTH.lines().try_for_each(|line| writeln!(f, "# {line}"))?;
        writeln!(f, "network {network}\nborn {born}")?;
        peers.iter().try_for_each(|(id, address)| writeln!(f, "peer {id}@{address}"))?;
        writeln!(f, "words {}", words.expose())
    }
}

/// What was found on paper. What a bare list of words does not say is absent.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) network: Option<Network>,
    pub(crate) born: Option<u32>,
    pub(crate) peers: Vec<(NodeId, String)>,
    pub(crate) words: Option<Secret<String>>,
}

/// Where the embedded node is that the URL names, and on which network.
pub(crate) async fn place(
    url: &NodeUrl,
    shell: &Shell,
) -> Result<(PathBuf, Network), PaperFailure> {
    let not_embedded = || PaperFailure::NotEmbedded { scheme: url.scheme().to_owned() };
    nodes::embedded(url, shell).await?.ok_or_else(not_embedded)
}

/// Writes it where nothing is, for its owner only, and to the disk before this returns.
pub(crate) fn write(backup: &Backup, file: &Path) -> Result<(), PaperFailure> {
    let text = Secret::new(Paper(backup).to_string());
    let written = files::write_private(file, text.expose().as_bytes());
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => PaperFailure::Exists(file.to_owned()),
        _ => PaperFailure::Io { what: format!("writing {}", file.display()), source },
    })
}

/// Reads such a text. What is wrong with it is named without repeating it.
pub(crate) fn read(text: &str) -> Result<Found, PaperFailure> {
    let mut found = Found::default();
    let mut bare = Secret::new(String::new());
    for (at, line) in text.lines().enumerate() {
        let wrong = |problem| PaperFailure::Text { line: at + 1, problem };
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "" => {}
            word if word.starts_with('#') => {}
            "network" if rest.split_whitespace().count() == 1 => {
                let network = rest.parse().map_err(|_| wrong("this network is not known"))?;
                found.network = Some(network);
            }
            "born" if rest.split_whitespace().count() == 1 => {
                found.born = Some(rest.parse().map_err(|_| wrong("`born` is a block's height"))?);
            }
            "peer" if rest.contains('@') => {
                let no_peer = "a peer is a node's key, `@`, and where it is";
                found.peers.push(peer(rest).ok_or_else(|| wrong(no_peer))?);
            }
            "words" => found.words = Some(Secret::new(rest.to_owned())),
            _ => {
                let whole = format!("{} {line}", bare.expose());
                bare = Secret::new(whole);
            }
        }
    }
    let bare = Secret::new(bare.expose().trim().to_owned());
    match (&found.words, bare.expose().is_empty()) {
        (Some(_), false) => Err(PaperFailure::Text { line: 1, problem: "there are words twice" }),
        (None, true) => Err(PaperFailure::Text { line: 1, problem: "there are no words" }),
        (None, false) => Ok(Found { words: Some(bare), ..found }),
        (Some(_), true) => Ok(found),
    }
}

/// A peer as it is written: `key@host:port`.
pub(crate) fn peer(text: &str) -> Option<(NodeId, String)> {
    let (id, address) = text.split_once('@')?;
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    has_port.then_some((id.parse().ok()?, address.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn backup() -> Backup {
        let words = format!("{}art", "abandon ".repeat(23));
        let peers = vec![(NodeId([2; 33]), "peer.example:9735".to_owned())];
        Backup { network: Network::Signet, words: Secret::new(words), born: 7, peers }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("paper");
        write(&backup(), &file).unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        let found = read(&std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(found.words.unwrap().expose(), backup().words.expose());
        assert_eq!((found.network, found.born), (Some(Network::Signet), Some(7)));
        assert_eq!(found.peers, backup().peers);
        let text = std::fs::read(&file).unwrap();
        assert!(matches!(write(&backup(), &file), Err(PaperFailure::Exists(_))));
        assert_eq!(std::fs::read(&file).unwrap(), text);
    }

    #[test]
    fn bare_words_are_enough_on_one_line_or_on_many() {
        let words = backup().words;
        for text in [words.expose().clone(), words.expose().replace(' ', "\n")] {
            let found = read(&text).unwrap();
            assert_eq!(found.words.unwrap().expose(), words.expose());
            assert_eq!((found.network, found.born, found.peers), (None, None, vec![]));
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line_and_not_repeated() {
        for (line, text) in [
            (1, ""),
            (1, "# nothing\n"),
            (2, "words a b\nnetwork venus"),
            (1, "born soon\nwords a b"),
            (3, "words a b\n\npeer 02@host:1"),
            (1, "words a b\nhunter2 c"),
        ] {
            let error = read(text).unwrap_err();
            assert!(matches!(error, PaperFailure::Text { line: at, .. } if at == line), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
