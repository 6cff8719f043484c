//! A small file whose meaning is read again when it changes: a certificate that a node renews, a
//! credential that its owner replaces. What was read is kept until then.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::{fmt, io};

use l402::Secret;
use zeroize::Zeroizing;

/// The longest file that is read, in bytes. Certificates and macaroons are far shorter.
const LONGEST: u64 = 64 * 1024;

/// Where a small thing is kept.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    /// In a file, which is read again when it changes.
    File(PathBuf),
    /// In the hands of whoever runs this, who found it at that place.
    Given { place: String, secret: Arc<Secret<String>> },
}

impl From<PathBuf> for Kept {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Given { place, .. } => f.write_str(place),
        }
    }
}

impl Kept {
    /// What is there now, as text.
    pub(crate) fn read(&self) -> io::Result<Zeroizing<String>> {
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(&bytes).map(str::to_owned);
        let no_text = |_| io::Error::new(io::ErrorKind::InvalidData, format!("{self} is no text"));
        text.map(Zeroizing::new).map_err(no_text)
    }

    fn bytes(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        use io::Read;
        let path = match self {
            Self::File(path) => path,
            Self::Given { secret, .. } => {
                return Ok(Zeroizing::new(secret.expose().as_bytes().to_vec()));
            }
        };
        let mut bytes = Zeroizing::new(Vec::new());
        std::fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than any such file"));
        }
        Ok(bytes)
    }
}

/// A file, and what it meant when it was last read.
pub(crate) struct Watched<T> {
    kept: Kept,
    read: fn(&[u8]) -> Result<T, Unusable>,
    last: Mutex<Option<Last<T>>>,
}

/// A file's bytes, and their meaning.
type Last<T> = (Zeroizing<Vec<u8>>, Arc<T>);

/// What the file says is of no use, and why.
pub(crate) type Unusable = &'static str;

impl<T> Watched<T> {
    pub(crate) fn new(kept: impl Into<Kept>, read: fn(&[u8]) -> Result<T, Unusable>) -> Self {
        Self { kept: kept.into(), read, last: Mutex::new(None) }
    }

    /// What the file means now. Its bytes are compared, not its time: a file that is replaced within
    /// one tick of the file system's clock counts too. While it is being replaced, and cannot be read
    /// or is cut short, it means what it meant before.
    ///
    /// # Errors
    /// It cannot be read, is too long, or means nothing, and never meant anything.
    pub(crate) fn now(&self) -> io::Result<Arc<T>> {
        let mut last = self.last.lock().expect("no code under this lock can panic");
        let wrong = match self.kept.bytes() {
            Ok(bytes) => {
                if let Some((then, meaning)) = &*last
                    && *then == bytes
                {
                    return Ok(Arc::clone(meaning));
                }
                match (self.read)(&bytes) {
                    Ok(meaning) => {
                        let meaning = Arc::new(meaning);
                        *last = Some((bytes, Arc::clone(&meaning)));
                        return Ok(meaning);
                    }
                    Err(why) => io::Error::new(io::ErrorKind::InvalidData, why),
                }
            }
            Err(error) => error,
        };
        let place = &self.kept;
        match &*last {
            Some((_, meaning)) => {
                tracing::warn!("{place}: {wrong}; what it said before is used");
                Ok(Arc::clone(meaning))
            }
            None => Err(io::Error::new(wrong.kind(), format!("{place}: {wrong}"))),
        }
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched({})", self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_changes_and_not_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let file = Watched::new(path.clone(), |bytes| match bytes {
            [] => Err("it is empty"),
            bytes => Ok(bytes.to_vec()),
        });
        assert_eq!(file.now().unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, "one").unwrap();
        let one = file.now().unwrap();
        assert!(Arc::ptr_eq(&one, &file.now().unwrap()));
        std::fs::write(&path, "two").unwrap();
        assert_eq!(*file.now().unwrap(), b"two");
        for of_no_use in [&b""[..], &[7; 65 * 1024]] {
            std::fs::write(&path, of_no_use).unwrap();
            assert_eq!(*file.now().unwrap(), b"two");
            let unread = Watched::new(path.clone(), file.read);
            let error = unread.now().unwrap_err().to_string();
            assert!(error.contains("secret: "), "{error}");
        }
        assert!(!format!("{file:?}").contains("one"));
    }
}
