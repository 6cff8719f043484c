//! A small file whose meaning is read again when it changes: a certificate that a node renews, a
//! credential that its owner replaces. What was read is kept until then.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};
use std::{fmt, io};

use l402::Secret;
use zeroize::Zeroizing;

/// The longest file that is read, in bytes. Certificates and macaroons are far shorter.
const LONGEST: u64 = 64 * 1024;
/// So long after a change every file system's clock has moved on.
const SETTLED: Duration = Duration::from_secs(5);

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

/// What was read last.
struct Last<T> {
    bytes: Zeroizing<Vec<u8>>,
    meaning: Arc<T>,
    /// The file was this one, and whatever is written into it from now on changes that.
    stamp: Option<Stamp>,
}

/// What the system says of a file without reading it. The time is that of its last change of any kind,
/// which nobody sets but the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    /// The stamp of that file, if a change from now on cannot leave it as it is: the clock by which
    /// changes are dated has moved on since the last one.
    fn of(kept: &Kept, now: SystemTime) -> Option<Self> {
        let Kept::File(path) = kept else { return None };
        let about = std::fs::metadata(path).ok()?;
        let changed = Duration::from_secs(u64::try_from(about.ctime()).ok()?);
        let settled = SystemTime::UNIX_EPOCH + changed + SETTLED < now;
        settled.then(|| Self {
            device: about.dev(),
            inode: about.ino(),
            length: about.len(),
            seconds: about.ctime(),
            nanoseconds: about.ctime_nsec(),
        })
    }
}

/// What the file says is of no use, and why.
pub(crate) type Unusable = &'static str;

impl<T> Watched<T> {
    pub(crate) fn new(kept: impl Into<Kept>, read: fn(&[u8]) -> Result<T, Unusable>) -> Self {
        Self { kept: kept.into(), read, last: Mutex::new(None) }
    }

    /// What the file means now. Where the system says that it is as it was it is not read, and that says
    /// nothing about a file that has only just changed: a second change within one tick of the file
    /// system's clock counts too. While it is being replaced, and cannot be read or is cut short, it
    /// means what it meant before.
    ///
    /// # Errors
    /// It cannot be read, is too long, or means nothing, and never meant anything.
    pub(crate) fn now(&self) -> io::Result<Arc<T>> {
        self.at(SystemTime::now())
    }

    /// Reads the file the next time, whatever the system says of it.
    pub(crate) fn doubt(&self) {
        if let Some(last) = &mut *self.last() {
            last.stamp = None;
        }
    }

    fn at(&self, now: SystemTime) -> io::Result<Arc<T>> {
        let mut last = self.last();
        // Before it is read: what is written meanwhile has another one.
        let stamp = Stamp::of(&self.kept, now);
        if let Some(last) = &*last
            && stamp.is_some()
            && stamp == last.stamp
        {
            return Ok(Arc::clone(&last.meaning));
        }
        let wrong = match self.kept.bytes() {
            Ok(bytes) => {
                if let Some(last) = &mut *last
                    && last.bytes == bytes
                {
                    last.stamp = stamp;
                    return Ok(Arc::clone(&last.meaning));
                }
                match (self.read)(&bytes) {
                    Ok(meaning) => {
                        let meaning = Arc::new(meaning);
                        *last = Some(Last { bytes, meaning: Arc::clone(&meaning), stamp });
                        return Ok(meaning);
                    }
                    Err(why) => io::Error::new(io::ErrorKind::InvalidData, why),
                }
            }
            Err(error) => error,
        };
        let place = &self.kept;
        match &*last {
            Some(last) => {
                tracing::warn!("{place}: {wrong}; what it said before is used");
                Ok(Arc::clone(&last.meaning))
            }
            None => Err(io::Error::new(wrong.kind(), format!("{place}: {wrong}"))),
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<Last<T>>> {
        self.last.lock().expect("no code under this lock can panic")
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

    #[test]
    fn a_file_that_is_as_it_was_is_not_read_until_it_changes_or_is_doubted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "one").unwrap();
        let file = Watched::new(path.clone(), |bytes| Ok(bytes.to_vec()));
        let later = SystemTime::now() + 2 * SETTLED;
        assert_eq!(*file.at(later).unwrap(), b"one");
        // Whoever reads the file finds other bytes than these.
        let remember_otherwise = || {
            let mut last = file.last();
            let last = last.as_mut().unwrap();
            last.bytes = Zeroizing::new(b"otherwise".to_vec());
            last.meaning = Arc::new(b"otherwise".to_vec());
        };
        remember_otherwise();
        assert_eq!(*file.at(later).unwrap(), b"otherwise", "it is not read");
        assert_eq!(*file.now().unwrap(), b"one", "it may have changed in this very moment");
        remember_otherwise();
        assert_eq!(*file.at(later).unwrap(), b"one", "and is not trusted before it is read again");
        remember_otherwise();
        file.doubt();
        assert_eq!(*file.at(later).unwrap(), b"one", "it is doubted");
        remember_otherwise();
        std::fs::write(&path, "three").unwrap();
        assert_eq!(*file.at(later).unwrap(), b"three", "it has changed");
        let another = folder.path().join("another");
        std::fs::write(&another, "seven").unwrap();
        std::fs::rename(another, &path).unwrap();
        assert_eq!(*file.at(later).unwrap(), b"seven", "another one is in its place");
    }
}
