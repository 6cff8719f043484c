//! Credentials on their way in and out of files: never on a command line, and readable by nobody else.

use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::{Span, SpanRelativeTo};
use l402::Secret;

use super::client::AskError;
use crate::failure::Failure;
use crate::files;
use crate::shell::Shell;

/// Reads a credential from `file:/path` or `env:NAME`.
pub(crate) fn read_credential(source: &str, shell: &Shell) -> Result<Secret<String>, AskError> {
    let (text, place) = match source.split_once(':') {
        Some(("file", path)) if !path.is_empty() => {
            let failed = |source| AskError::Unreadable { place: path.to_owned(), source };
            check_mode(Path::new(path))
                .map_err(failed)?
                .map_or(Ok(()), |mode| Err(AskError::Exposed { path: path.to_owned(), mode }))?;
            let text = Secret::new(std::fs::read_to_string(path).map_err(failed)?);
            (text, path.to_owned())
        }
        Some(("env", name)) if !name.is_empty() => {
            let place = format!("the variable {name}");
            let text = shell.variable(name).ok_or_else(|| AskError::Unreadable {
                place: place.clone(),
                source: std::io::Error::new(std::io::ErrorKind::NotFound, "it is not set"),
            })?;
            (Secret::new(text), place)
        }
        _ => return Err(AskError::Source),
    };
    let line = text.expose().trim();
    match line.is_empty() || line.contains(|c: char| !c.is_ascii_graphic()) {
        true => Err(AskError::NotACredential(place)),
        false => Ok(Secret::new(line.to_owned())),
    }
}

/// The permission bits, when others can read it.
fn check_mode(path: &Path) -> std::io::Result<Option<u32>> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(path)?;
    let mode = metadata.permissions().mode() & 0o777;
    // A pipe, as `<(…)` makes one, is nobody else's.
    Ok((metadata.is_file() && mode & 0o077 != 0).then_some(mode))
}

/// Writes a credential to a new file that only we can read, or leaves it to be printed.
pub(crate) fn hand_out(credential: &Secret<String>, output: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = output else { return Ok(()) };
    let failed = |source| Failure::Io { what: format!("writing {}", path.display()), source };
    let line = Secret::new(format!("{}\n", credential.expose()));
    files::write_private(path, line.expose().as_bytes()).map_err(failed)
}

/// Until when something is valid that is for so long: `12h`, `30d` or `forever`.
pub(crate) fn until(text: &str, now: SystemTime) -> Result<Option<SystemTime>, AskError> {
    if text == "forever" {
        return Ok(None);
    }
    let bad = || AskError::ValidFor(text.to_owned());
    let span: Span = text.parse().map_err(|_| bad())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| bad())?;
    let duration = Duration::try_from(duration).map_err(|_| bad())?;
    let until = now.checked_add(duration).filter(|_| duration >= Duration::from_secs(1));
    until.map(Some).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_while_is_a_number_and_a_unit() {
        let epoch = SystemTime::UNIX_EPOCH;
        let seconds = |text: &str| {
            let end = until(text, epoch).unwrap().unwrap();
            end.duration_since(epoch).unwrap().as_secs()
        };
        assert_eq!([seconds("30d"), seconds("12h"), seconds("90m")], [2_592_000, 43_200, 5_400]);
        assert_eq!(until("forever", epoch).unwrap(), None);
        for bad in ["", "30", "soon", "0s", "-1d", "1mo"] {
            assert!(until(bad, epoch).is_err(), "{bad}");
        }
    }
}
