//! Puts a new text in the place of an old one: whoever reads the file, and whenever the power fails, it
//! is the one or the other, whole; and whoever writes it at the same moment is not overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hex::DisplayHex;

/// What a draft's name ends with.
const ENDING: &str = ".draft";
/// When a draft was left behind by a process that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

/// The file could not be written; it is as it was.
#[derive(Debug, thiserror::Error)]
#[error("the configuration {} cannot be written, and is as it was; the gateway's user needs to write in its folder", path.display())]
pub struct WriteError {
    path: PathBuf,
    source: io::Error,
}

/// Replaces `old` by `new`. `false`: the file says something else than `old`, and is as it was.
pub(super) fn replace(path: &Path, old: &str, new: &str) -> Result<bool, WriteError> {
    replace_by(path, old, new, exchange)
}

/// The same. `exchange` gives each of two files the other's name, in one step.
fn replace_by(
    path: &Path,
    old: &str,
    new: &str,
    exchange: impl FnMut(&Path, &Path) -> io::Result<()>,
) -> Result<bool, WriteError> {
    let failed = |source| WriteError { path: path.to_owned(), source };
    // The file itself, not a link to it.
    let path = &fs::canonicalize(path).map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    sweep(folder, path);
    let draft = draft_of(folder, path).map_err(failed)?;
    let written = write(path, &draft, new);
    if written.is_err() {
        fs::remove_file(&draft).ok();
    }
    written.map_err(failed)?;
    if !put(path, &draft, [old, new], exchange).map_err(failed)? {
        return Ok(false);
    }
    // The name of a file is on disk only when its folder is.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(true)
}

/// Puts the draft in the file's place, where that says `old`; else nothing has changed. The draft is gone
/// afterwards, whatever came of it.
fn put(
    path: &Path,
    draft: &Path,
    [old, new]: [&str; 2],
    mut exchange: impl FnMut(&Path, &Path) -> io::Result<()>,
) -> io::Result<bool> {
    let put = (|| {
        // Most often it is seen here, and nobody sees the new text for a moment.
        if fs::read(path)? != old.as_bytes() {
            return Ok(false);
        }
        match exchange(draft, path) {
            Ok(()) => {}
            // This file system has no such thing. An editor that writes between the look and this is
            // overwritten.
            Err(error) if is_unknown(&error) => return fs::rename(draft, path).map(|()| true),
            Err(error) => return Err(error),
        }
        // What was replaced is seen only now. Where somebody was faster, it goes back; and should that
        // put away what they wrote meanwhile, that goes back as well.
        let mut out = fs::read(draft)?;
        if out == old.as_bytes() {
            return Ok(true);
        }
        let mut expected = new.as_bytes().to_vec();
        loop {
            // Where the file is gone it comes back, and there is nothing more to look at.
            exchange(draft, path).or_else(|_| fs::rename(draft, path))?;
            let came = fs::read(draft)?;
            if came == expected {
                return Ok(false);
            }
            (expected, out) = (out, came);
        }
    })();
    fs::remove_file(draft).ok();
    put
}

/// Gives each of two files the other's name, in one step.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// Elsewhere that cannot be done.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether it says that files cannot be exchanged here (renameat2(2): `EINVAL`, `ENOSYS`).
fn is_unknown(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// Writes the draft, with the mode and, where that may be, the owner of what it replaces.
fn write(path: &Path, draft: &Path, text: &str) -> io::Result<()> {
    let like = fs::metadata(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(draft)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (like.uid(), like.gid())
            && let Err(error) = fchown(&file, Some(like.uid()), Some(like.gid()))
        {
            tracing::warn!(%error, "the configuration's file now belongs to the gateway's user");
        }
    }
    file.set_permissions(like.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn draft_of(folder: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut unique = [0; 8];
    getrandom::fill(&mut unique).map_err(io::Error::other)?;
    let draft = format!("{}{}{ENDING}", beginning(path), unique.as_hex());
    Ok(folder.join(draft))
}

/// What a draft's name begins with.
fn beginning(path: &Path) -> String {
    format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Removes what killed processes left. What cannot be removed does no harm.
fn sweep(folder: &Path, path: &Path) {
    let beginning = beginning(path);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let draft = name.strip_prefix(&beginning).and_then(|rest| rest.strip_suffix(ENDING));
        let is_draft = draft.is_some_and(|unique| {
            unique.len() == 16 && unique.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        let is_old = || {
            let written = entry.metadata().and_then(|metadata| metadata.modified()).ok()?;
            SystemTime::now().duration_since(written).ok().map(|age| age > LEFT_BEHIND)
        };
        if is_draft && is_old() == Some(true) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_text_takes_the_old_ones_place_and_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("gateway.toml"), folder.path().join("link.toml"));
        fs::write(&path, "old").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::{PermissionsExt, symlink};
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            symlink(&path, &link).unwrap();
            assert!(replace(&link, "old", "new").unwrap());
            assert!(link.symlink_metadata().unwrap().file_type().is_symlink());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
    }

    #[test]
    fn what_somebody_wrote_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        fs::write(&path, "by hand").unwrap();
        assert!(!replace(&path, "old", "new").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "by hand");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
        assert!(replace(&folder.path().join("none"), "old", "new").is_err());
    }

    /// What the file says, and how many files there are, after a change from `old` to `ours` during which
    /// each of `hands` is written just before an exchange.
    fn raced(hands: &[&str]) -> (Result<bool, WriteError>, String, usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        fs::write(&path, "old").unwrap();
        let mut hands = hands.iter();
        let replaced = replace_by(&path, "old", "ours", |draft, path| {
            // As an editor does: another file takes the name.
            if let Some(hand) = hands.next() {
                fs::write(folder.path().join("edited"), hand)?;
                fs::rename(folder.path().join("edited"), path)?;
            }
            exchange(draft, path)
        });
        (replaced, fs::read_to_string(&path).unwrap(), fs::read_dir(&folder).unwrap().count())
    }

    #[test]
    fn what_an_editor_saves_at_the_last_moment_is_not_lost() {
        let (replaced, text, files) = raced(&[]);
        assert_eq!((replaced.unwrap(), text.as_str(), files), (true, "ours", 1));
        let (replaced, text, files) = raced(&["by hand"]);
        assert_eq!((replaced.unwrap(), text.as_str(), files), (false, "by hand", 1));
        // And it saves again, while what it had saved goes back.
        for saves in [&["first", "second"][..], &["first", "second", "third"]] {
            let (replaced, text, files) = raced(saves);
            let last = *saves.last().unwrap();
            assert_eq!((replaced.unwrap(), text.as_str(), files), (false, last, 1));
        }
    }

    #[test]
    fn where_files_cannot_be_exchanged_the_new_one_takes_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        for refusal in [io::ErrorKind::InvalidInput, io::ErrorKind::Unsupported] {
            fs::write(&path, "old").unwrap();
            assert!(replace_by(&path, "old", "new", |_, _| Err(refusal.into())).unwrap());
            assert_eq!(fs::read_to_string(&path).unwrap(), "new");
            assert!(!replace_by(&path, "old", "newer", |_, _| Err(refusal.into())).unwrap());
        }
        let full = |_: &Path, _: &Path| Err(io::ErrorKind::StorageFull.into());
        assert!(replace_by(&path, "new", "newer", full).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn only_old_drafts_of_this_file_are_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        let draft = |name: &str| {
            let draft = folder.path().join(name);
            let file = File::create(&draft).unwrap();
            file.set_modified(SystemTime::now() - 2 * LEFT_BEHIND).unwrap();
            draft
        };
        fs::write(&path, "old").unwrap();
        let old = draft(".gateway.toml.0123456789abcdef.draft");
        let others = [".gateway.toml.swp", ".gateway.toml.mine.draft", ".a.0123456789abcdef.draft"];
        let others = others.map(draft);
        let fresh = folder.path().join(".gateway.toml.0000000000000000.draft");
        fs::write(&fresh, "").unwrap();
        assert!(replace(&path, "old", "new").unwrap());
        assert!(!old.exists() && fresh.exists());
        assert!(others.iter().all(|other| other.exists()));
    }
}
