//! The socket's place in the file system. From the first moment only our own user can reach it: it
//! is made in a folder that nobody else can enter, and there is one purse at a path at a time.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// A purse could not take its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The node can neither pay nor be paid.
    #[error("the node can neither pay nor be paid, so there is nothing to serve")]
    NothingToServe,
    /// The payer and the invoicer are on different networks.
    #[error("the node pays on {payer} and is paid on {invoicer}; a purse is on one network")]
    TwoNetworks {
        /// Where it pays.
        payer: l402::Network,
        /// Where it is paid.
        invoicer: l402::Network,
    },
    /// Somebody else could reach into the folder.
    #[error("{} has mode {mode:03o}, so others can reach into it; name a folder in it that is not there yet and will be made private, or, if the folder is yours alone, run `chmod 700 {}`", .folder.display(), .folder.display())]
    OpenFolder {
        /// The folder of the socket.
        folder: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The folder is not ours.
    #[error("{} belongs to user {owner}; choose a folder of your own", .folder.display())]
    OtherOwner {
        /// The folder of the socket.
        folder: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Another purse is there, and alive.
    #[error("a purse is already running at {}; use it, or stop it first", .path.display())]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// Something that is not a socket is at that path, and is left alone.
    #[error("{} is there and is not a socket; choose another path", .path.display())]
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// The system has room for about 100 bytes in a socket's path.
    #[error("{} is too long for a socket; choose a path below 100 bytes", .path.display())]
    PathTooLong {
        /// Where.
        path: PathBuf,
    },
    /// The file system did not let us.
    #[error("{}: {source}", .path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A bound socket that nobody else can reach. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    /// Device and inode of the socket we made.
    identity: (u64, u64),
    /// Held until the file is gone: a purse that starts meanwhile is refused.
    _lock: File,
}

impl Place {
    /// Takes the path for user `own`, replacing the socket of a purse that died.
    pub(crate) async fn take(path: &Path, own: u32) -> Result<(UnixListener, Self), BindError> {
        private_folder(path, own)?;
        let lock = lock(path)?;
        remove_stale(path).await?;
        let listener = UnixListener::bind(path).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidInput => BindError::PathTooLong { path: path.to_owned() },
            _ => at(path)(source),
        })?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(at(path))?;
        let metadata = path.symlink_metadata().map_err(at(path))?;
        let identity = (metadata.dev(), metadata.ino());
        Ok((listener, Self { path: path.to_owned(), identity, _lock: lock }))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let ours = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino()) == self.identity;
        if self.path.symlink_metadata().is_ok_and(ours) {
            // If it stays, the next purse finds it dead and replaces it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Makes the folder with mode 0700 if it is not there, and refuses one that others can enter.
fn private_folder(path: &Path, own: u32) -> Result<(), BindError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at(folder))?;
    let metadata = folder.metadata().map_err(at(folder))?;
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o777);
    if owner != own {
        return Err(BindError::OtherOwner { folder: folder.to_owned(), owner });
    }
    if mode & 0o077 != 0 {
        return Err(BindError::OpenFolder { folder: folder.to_owned(), mode });
    }
    Ok(())
}

/// One purse at a path: the lock goes with the process that holds it, however it ends. The file
/// stays, because removing a lock file lets two processes hold "the" lock.
fn lock(path: &Path) -> Result<File, BindError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(&name).map_err(at(&name))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BindError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(at(&name)(source)),
    }
}

/// Removes a socket that nobody answers at. A live one is somebody's, lock or no lock.
async fn remove_stale(path: &Path) -> Result<(), BindError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(path)(error)),
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => return Err(BindError::NotASocket { path: path.to_owned() }),
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(at(path))
        }
        Err(error) => Err(at(path)(error)),
        Ok(_) => Err(BindError::InUse { path: path.to_owned() }),
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> BindError {
    move |source| BindError::Io { path: path.to_owned(), source }
}
