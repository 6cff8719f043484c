//! Puts a new text in the place of an old one: whoever reads the file, and whenever the power fails, it
//! is the one or the other, whole.

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
    let failed = |source| WriteError { path: path.to_owned(), source };
    // The file itself, not a link to it.
    let path = &fs::canonicalize(path).map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    sweep(folder, path);
    let draft = draft_of(folder, path).map_err(failed)?;
    let replaced = write(path, &draft, new).and_then(|()| {
        // As late as can be: an editor may have written meanwhile.
        if fs::read_to_string(path)? != old {
            return Ok(false);
        }
        fs::rename(&draft, path)?;
        Ok(true)
    });
    if !matches!(replaced, Ok(true)) {
        fs::remove_file(&draft).ok();
    }
    if replaced.map_err(failed)? {
        // The name of a file is on disk only when its folder is.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        return Ok(true);
    }
    Ok(false)
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
