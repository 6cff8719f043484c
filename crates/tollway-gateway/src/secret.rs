//! The file that keeps a master key: made on first use, readable by its owner only, and on disk before
//! the first token is minted under it. A key lost is every token sold, worthless.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use hex::{DisplayHex, FromHex};
use l402::{Keyring, MasterKey, Secret};

use crate::config::{Config, SecretSource};

/// A master key cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The operating system says no.
    #[error("the master key {path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// Others on this machine could mint tokens.
    #[error("the master key {path} can be read by others (mode {mode:o}); run `chmod 600` on it")]
    Readable {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a key. What is there instead is not repeated.
    #[error("{place} is no master key: it takes 64 hexadecimal digits, from 32 random bytes")]
    NotAKey {
        /// Where it was read from.
        place: String,
    },
    /// The configuration does not say where one is.
    #[error("the configuration has no `secret`; write for example `secret = \"file:gateway.key\"`")]
    None,
    /// The environment does not have it.
    #[error("the variable {0}, where the configuration says a master key is, is not set")]
    NotSet(String),
    /// The system gives no random numbers.
    #[error("no random numbers for a master key: {0}")]
    Random(getrandom::Error),
}

impl Config {
    /// The keys to mint and verify tokens with, from where the configuration says. Where there is no
    /// file for the current key yet, one is made; the old keys must be there. `env` reads a variable
    /// of the environment, which this library does not touch.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn keyring(&self, env: impl Fn(&str) -> Option<String>) -> Result<Keyring, SecretError> {
        let current = match self.secret.as_ref().ok_or(SecretError::None)? {
            SecretSource::File(path) => master_key_file(path)?,
            SecretSource::Env(name) => from_env(name, &env)?,
        };
        let old = self.old_secrets.iter().map(|source| match source {
            SecretSource::File(path) => read(path),
            SecretSource::Env(name) => from_env(name, &env),
        });
        Ok(Keyring::new(current, old.collect::<Result<_, _>>()?))
    }
}

/// The master key in a file; a fresh one is put there if there is none. When this returns, the key is
/// on disk.
///
/// # Errors
/// See [`SecretError`].
pub fn master_key_file(path: &Path) -> Result<MasterKey, SecretError> {
    let failed = |source| SecretError::Io { path: path.to_owned(), source };
    match read(path) {
        Err(SecretError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let fresh = random().map_err(SecretError::Random)?;
            create(path, fresh.expose()).map_err(failed)?;
            // Another process may have been first: what counts is what is in the file.
            read(path)
        }
        result => result,
    }
}

fn from_env(name: &str, env: impl Fn(&str) -> Option<String>) -> Result<MasterKey, SecretError> {
    let text = Secret::new(env(name).ok_or_else(|| SecretError::NotSet(name.to_owned()))?);
    from_text(text.expose(), &format!("the variable {name}"))
}

fn from_text(text: &str, place: &str) -> Result<MasterKey, SecretError> {
    <[u8; 32]>::from_hex(text.trim())
        .map(MasterKey::new)
        .map_err(|_| SecretError::NotAKey { place: place.to_owned() })
}

fn random() -> Result<Secret<[u8; 32]>, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Secret::new(bytes))
}

fn read(path: &Path) -> Result<MasterKey, SecretError> {
    let failed = |source| SecretError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    check_mode(path, &file.metadata().map_err(failed)?)?;
    let mut bytes = Vec::with_capacity(80);
    file.take(80).read_to_end(&mut bytes).map_err(failed)?;
    let bytes = Secret::new(bytes);
    let text = std::str::from_utf8(bytes.expose()).unwrap_or_default();
    from_text(text, &path.display().to_string())
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), SecretError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(SecretError::Readable { path: path.to_owned(), mode }),
    }
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::Metadata) -> Result<(), SecretError> {
    Ok(())
}

/// Writes the key beside its place and links it there, so that the file is never seen half written
/// and never replaces one that is there already.
fn create(path: &Path, key: &[u8; 32]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut unique = [0; 8];
    getrandom::fill(&mut unique).map_err(io::Error::other)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder.join(format!(".{name}.{}", unique.as_hex()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&draft).and_then(|mut file| {
        let line = Secret::new(format!("{}\n", key.as_hex()));
        file.write_all(line.expose().as_bytes())?;
        file.sync_all()
    });
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    fs::remove_file(&draft).ok();
    linked?;
    // The name of a file is on disk only when its folder is.
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_then_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/gateway.key");
        let made = master_key_file(&path).unwrap().id();
        assert_eq!(master_key_file(&path).unwrap().id(), made);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!((text.len(), from_text(&text, "a test").unwrap().id()), (65, made));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
        let other = master_key_file(&folder.path().join("other.key")).unwrap();
        assert_ne!(other.id(), made);
    }

    #[test]
    fn a_configuration_says_where_its_keys_are() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| format!("file:{}", folder.path().join(name).display());
        let config = |keys: &str| {
            let service = "[[service]]\nname='a'\nupstream='http://h'\nauth='off'";
            Config::read(&format!("{keys}\n{service}")).unwrap()
        };
        let hex = "0f".repeat(32);
        let env = |name: &str| (name == "KEY").then(|| hex.clone());
        let new = place("new");
        config(&format!("secret = '{new}'\nold_secrets = ['env:KEY']")).keyring(env).unwrap();
        config(&format!("secret = 'env:KEY'\nold_secrets = ['{new}']")).keyring(env).unwrap();

        let error = |keys: &str| config(keys).keyring(env).unwrap_err();
        assert!(matches!(error(""), SecretError::None));
        assert!(matches!(error("secret = 'env:OTHER'"), SecretError::NotSet(_)));
        // An old key that is not there is not replaced by a fresh one, which would open nothing.
        let lost = format!("secret = 'env:KEY'\nold_secrets = ['{}']", place("lost"));
        assert!(matches!(error(&lost), SecretError::Io { .. }));
        assert!(!folder.path().join("lost").exists());
    }

    #[test]
    fn two_that_start_at_once_agree_on_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.key");
        let ids: Vec<_> = std::thread::scope(|scope| {
            let start = || scope.spawn(|| master_key_file(&path).unwrap().id());
            let threads: Vec<_> = std::iter::repeat_with(start).take(8).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.key");
        master_key_file(&path).unwrap();
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        mode(0o640);
        assert!(matches!(master_key_file(&path), Err(SecretError::Readable { mode: 0o640, .. })));
        mode(0o400);
        master_key_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.key");
        master_key_file(&path).unwrap();
        for bad in ["", "hunter2", &"ab".repeat(33), &"zz".repeat(32)] {
            fs::write(&path, bad).unwrap();
            let error = master_key_file(&path).unwrap_err();
            assert!(matches!(error, SecretError::NotAKey { .. }), "{error}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
