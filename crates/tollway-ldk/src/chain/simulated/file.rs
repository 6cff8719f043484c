//! The file a chain is kept in: blocks and accepted transactions, one record after another, only
//! ever appended to. A process that is killed leaves at most one torn record at the end; it is cut
//! off, and what it held is as if it had never been.
//!
//! Layout: the bytes of [`MAGIC`], then records of one byte kind, four bytes length (little endian)
//! and the consensus encoding of a block or a transaction. Nothing is synced to the disk: the file
//! survives the death of the process, not that of the machine.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::{Block, Transaction};

use super::blocks::BadBlock;

const MAGIC: &[u8; 8] = b"twchain1";
const BLOCK: u8 = b'B';
const TRANSACTION: u8 = b'T';
/// Kind and length.
const RECORD_HEAD: usize = 5;

/// A chain's file, locked against a second process.
#[derive(Debug)]
pub(super) struct ChainFile {
    file: File,
    len: u64,
}

/// One record, with the place in the file where it starts.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) offset: u64,
    pub(super) entry: Entry,
}

/// What a record holds.
#[derive(Debug)]
pub(super) enum Entry {
    /// A block, of the best chain or beside it.
    Block(Block),
    /// A transaction that was accepted to wait for a block.
    Transaction(Transaction),
}

/// A chain's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenChainError {
    /// It cannot be read or written.
    #[error("cannot use the chain file {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("the chain file {} is in use by another process; stop that one first", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is something else.
    #[error("{} is not a chain file; choose another name", .path.display())]
    NotAChain {
        /// The file.
        path: PathBuf,
    },
    /// A record that is not the last cannot be read, which no crash explains.
    #[error("the chain file {} is damaged at byte {offset}; move it away to start a new chain", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the record starts.
        offset: u64,
        /// What is the matter with the block, when it is one.
        source: Option<BadBlock>,
    },
}

impl ChainFile {
    /// Opens or creates the file, reads its records and cuts a torn one off its end.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Record>), OpenChainError> {
        let io = |source| OpenChainError::Io { path: path.to_owned(), source };
        let options = File::options().read(true).append(true).create(true).open(path);
        let mut file = options.map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenChainError::InUse { path: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() < MAGIC.len() && MAGIC.starts_with(&bytes) {
            file.set_len(0).and_then(|()| file.write_all(MAGIC)).map_err(io)?;
            bytes = MAGIC.to_vec();
        }
        if !bytes.starts_with(MAGIC) {
            return Err(OpenChainError::NotAChain { path: path.to_owned() });
        }
        let (records, end) = read_records(&bytes, path)?;
        let len = end as u64;
        if end < bytes.len() {
            tracing::warn!(path = %path.display(), bytes = bytes.len() - end, "cut off a torn record");
            file.set_len(len).map_err(io)?;
        }
        Ok((Self { file, len }, records))
    }

    pub(super) fn append_block(&mut self, block: &Block) -> io::Result<()> {
        self.append(BLOCK, &serialize(block))
    }

    pub(super) fn append_transaction(&mut self, tx: &Transaction) -> io::Result<()> {
        self.append(TRANSACTION, &serialize(tx))
    }

    fn append(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        let len = u32::try_from(body.len()).expect("a block is smaller than 4 GiB");
        let mut record = Vec::with_capacity(RECORD_HEAD + body.len());
        record.push(kind);
        record.extend_from_slice(&len.to_le_bytes());
        record.extend_from_slice(body);
        if let Err(error) = self.file.write_all(&record) {
            // What did get written must not stand before the next record.
            self.file.set_len(self.len)?;
            return Err(error);
        }
        self.len += record.len() as u64;
        Ok(())
    }
}

/// All whole records, and where they end.
fn read_records(bytes: &[u8], path: &Path) -> Result<(Vec<Record>, usize), OpenChainError> {
    let mut records = Vec::new();
    let mut at = MAGIC.len();
    // Some file systems leave zeros where a write was under way.
    while bytes[at..].iter().any(|byte| *byte != 0) {
        let Some((kind, body)) = split_record(&bytes[at..]) else { break };
        let entry = match kind {
            BLOCK => deserialize(body).ok().map(Entry::Block),
            TRANSACTION => deserialize(body).ok().map(Entry::Transaction),
            _ => None,
        };
        let offset = at as u64;
        let damaged = || OpenChainError::Damaged { path: path.to_owned(), offset, source: None };
        records.push(Record { offset, entry: entry.ok_or_else(damaged)? });
        at += RECORD_HEAD + body.len();
    }
    Ok((records, at))
}

/// Kind and body of the record at the front, or nothing when it is torn.
fn split_record(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (head, rest) = bytes.split_at_checked(RECORD_HEAD)?;
    let len = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    Some((head[0], rest.get(..len as usize)?))
}
