//! Files that are named on the command line, and files that are made for one person only.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::failure::Failure;

/// Makes a file that was not there, for its owner only: one that is there may be in use.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Writes such a file. The disk has it, and its name, before this returns.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_private(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// The text of a file that is named on the command line; `-` is stdin.
pub(crate) fn read_input(path: &Path) -> Result<String, Failure> {
    let failed = |source| Failure::Io { what: format!("reading {}", path.display()), source };
    match path.as_os_str() == "-" {
        true => io::read_to_string(io::stdin()).map_err(failed),
        false => std::fs::read_to_string(path).map_err(failed),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_private_file_is_its_owners_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_private(&path, b"first").unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let again = write_private(&path, b"second").unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read_input(&path).unwrap(), "first");
    }
}
