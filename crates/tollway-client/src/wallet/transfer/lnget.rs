//! lnget's folder of tokens: for each domain a folder with `l402.token`, `l402.token.pending` or, from
//! older versions, `lsat.token`, and the domain itself in `.domain`. Its folders' names are not read
//! for domains where that file is there: two domains can have the same one.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use l402::PaymentHash;

use super::aperture::{BadTokenFile, TokenFile};
use crate::origin::Origin;
use crate::wallet::Token;

/// The files in a domain's folder, and the scheme that each is for.
const FILES: &[(&str, &str)] = &[
    ("l402.token", "L402"),
    ("l402.token.pending", "L402"),
    ("lsat.token", "LSAT"),
    ("lsat.token.pending", "LSAT"),
];
/// The most that is read of one, in bytes.
const LONGEST: u64 = 64 * 1024;

/// What such a folder holds.
#[derive(Debug, Default)]
pub struct LngetStore {
    /// Tokens with their proofs.
    pub tokens: Vec<Token>,
    /// What is not taken over, each with the reason.
    pub passed_over: Vec<Passed>,
}

/// One file that is not taken over.
#[derive(Debug, thiserror::Error)]
#[error("`{}`: {why}", .path.display())]
pub struct Passed {
    /// Which file.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub why: PassedOver,
}

/// Why a file is not taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassedOver {
    /// It is no token file.
    #[error(transparent)]
    Bad(#[from] BadTokenFile),
    /// The payment was begun, and its end is not written down: ask the node that made it.
    #[error(
        "payment {0} was begun, and how it ended is not in the file: ask the node that made it"
    )]
    Pending(PaymentHash),
    /// Whose token it is cannot be told.
    #[error("`{0}` is no domain")]
    Domain(String),
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[source] io::Error),
}

impl LngetStore {
    /// Reads the folder, `~/.lnget/tokens` unless lnget was told otherwise.
    ///
    /// # Errors
    /// The folder itself cannot be read.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut store = Self::default();
        let mut domains = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        domains.sort_by_key(fs::DirEntry::file_name);
        for domain in domains {
            let folder = domain.path();
            for (name, scheme) in FILES {
                let path = folder.join(name);
                match token(&folder, &path, scheme) {
                    Ok(token) => store.tokens.push(token),
                    Err(PassedOver::Io(error)) if is_absent(&error) => {}
                    Err(why) => store.passed_over.push(Passed { path, why }),
                }
            }
        }
        Ok(store)
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn token(folder: &Path, path: &Path, scheme: &str) -> Result<Token, PassedOver> {
    let bytes = read(path).map_err(PassedOver::Io)?;
    let file = TokenFile::parse(&bytes)?;
    let domain = match read(&folder.join(".domain")) {
        Ok(text) => String::from_utf8_lossy(&text).trim().to_owned(),
        // Where lnget left nothing out of the name, the name is the domain.
        Err(error) if is_absent(&error) => {
            folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
        }
        Err(error) => return Err(PassedOver::Io(error)),
    };
    let origin = origin(&domain).ok_or(PassedOver::Domain(domain))?;
    let hash = file.hash;
    file.into_token(origin, scheme).ok_or(PassedOver::Pending(hash))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > LONGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    fs::read(path)
}

/// lnget keeps host and port and forgets the scheme. What is not on this machine is taken to have been
/// bought over TLS: a token is never sent in the clear where it may not have been before.
fn origin(domain: &str) -> Option<Origin> {
    if domain.contains(['/', '@', '?', '#']) {
        return None;
    }
    let secure: Origin = format!("https://{domain}").parse().ok()?;
    let host = secure.host();
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    if is_here { format!("http://{domain}").parse().ok() } else { Some(secure) }
}
