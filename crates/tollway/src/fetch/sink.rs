//! Where the answer goes: a file, stdout, or one JSON object. On a terminal what is hostile in it is
//! shown, not sent.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::terminal::escape_except;

/// The longest body that goes into a JSON object, in bytes.
pub(crate) const LONGEST_IN_JSON: usize = 16 * 1024 * 1024;

/// How much of a file is written at a time, in bytes. Linux takes a gigabyte in pieces of 400 KiB, as they
/// come from a fast server, in twice the time that it takes it in these.
const WRITTEN_AT_ONCE: usize = 64 * 1024;

/// Takes a response piece by piece.
#[derive(Debug)]
pub(crate) enum Sink {
    /// A pipe or a file behind stdout: the bytes as they are.
    Raw(io::Stdout),
    /// A terminal behind stdout.
    Terminal(io::Stdout, Tail),
    /// A file, made when the first byte comes.
    File(FileSink),
    /// Kept, to be a field of a JSON object.
    Memory(Vec<u8>),
}

/// A file that is written, or will be.
#[derive(Debug)]
pub(crate) struct FileSink {
    path: PathBuf,
    how: How,
    open: Option<File>,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    /// Makes the folders that are not there.
    pub(crate) create_dirs: bool,
    /// Takes another name where there is such a file.
    pub(crate) no_clobber: bool,
    /// Goes on behind so many bytes, which are there.
    pub(crate) from: Option<u64>,
}

/// The beginning of a character whose end is in the next piece.
#[derive(Debug, Default)]
pub(crate) struct Tail(Vec<u8>);

impl Sink {
    /// Stdout, whatever is behind it.
    pub(crate) fn stdout() -> Self {
        let stdout = io::stdout();
        if stdout.is_terminal() {
            Self::Terminal(stdout, Tail::default())
        } else {
            Self::Raw(stdout)
        }
    }

    /// That file.
    pub(crate) const fn file(path: PathBuf, how: How) -> Self {
        Self::File(FileSink { path, how, open: None })
    }

    /// The file that is written, by the name that it got.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(file) => Some(&file.path),
            Self::Raw(_) | Self::Terminal(..) | Self::Memory(_) => None,
        }
    }

    /// Takes a piece.
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Raw(stdout) => stdout.write_all(piece).map_err(Failure::Stdout),
            Self::Terminal(stdout, tail) => {
                stdout.write_all(tail.escape(piece).as_bytes()).map_err(Failure::Stdout)
            }
            Self::File(file) => file.write(piece),
            Self::Memory(bytes) if bytes.len() + piece.len() > LONGEST_IN_JSON => {
                Err(Failure::TooLongForJson)
            }
            Self::Memory(bytes) => {
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// Lets what was written be seen: a slow body is not kept back.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        match self {
            Self::Raw(stdout) | Self::Terminal(stdout, _) => {
                stdout.flush().map_err(Failure::Stdout)
            }
            Self::File(_) | Self::Memory(_) => Ok(()),
        }
    }

    /// The response is over. An empty one makes an empty file.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        self.write(&[])?;
        if let Self::Terminal(stdout, tail) = self {
            stdout.write_all(tail.rest().as_bytes()).map_err(Failure::Stdout)?;
        }
        self.flush()
    }
}

impl FileSink {
    fn write(&mut self, piece: &[u8]) -> Result<(), Failure> {
        if self.open.is_none() {
            let opened = self.open();
            self.open = Some(opened.map_err(|source| self.failed(source))?);
        }
        let file = self.open.as_mut().expect("it was opened above");
        let written = piece.chunks(WRITTEN_AT_ONCE).try_for_each(|part| file.write_all(part));
        written.map_err(|source| self.failed(source))
    }

    fn open(&mut self) -> io::Result<File> {
        if let Some(folder) = self.path.parent().filter(|_| self.how.create_dirs) {
            fs::create_dir_all(folder)?;
        }
        if let Some(from) = self.how.from {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(false).open(&self.path)?;
            file.set_len(from)?;
            file.seek(SeekFrom::End(0))?;
            return Ok(file);
        }
        if !self.how.no_clobber {
            return File::create(&self.path);
        }
        let wanted = self.path.clone();
        for number in 1..=100 {
            match File::create_new(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                opened => return opened,
            }
            let mut name = wanted.clone().into_os_string();
            name.push(format!(".{number}"));
            self.path = name.into();
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn failed(&self, source: io::Error) -> Failure {
        Failure::Io { what: format!("writing `{}`", self.path.display()), source }
    }
}

impl Tail {
    /// Escapes a piece of text of which the pieces before and after are unknown.
    fn escape(&mut self, piece: &[u8]) -> String {
        self.0.extend_from_slice(piece);
        let mut cut = self.0.len();
        // At most three bytes can be the beginning of a character.
        for back in 1..=self.0.len().min(3) {
            let at = self.0.len() - back;
            let byte = self.0[at];
            let length = match byte {
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf7 => 4,
                _ => 1,
            };
            if byte >= 0xc0 {
                if length > back {
                    cut = at;
                }
                break;
            }
            if byte < 0x80 {
                break;
            }
        }
        let rest = self.0.split_off(cut);
        let whole = std::mem::replace(&mut self.0, rest);
        visible(&whole)
    }

    fn rest(&mut self) -> String {
        visible(&std::mem::take(&mut self.0))
    }
}

/// Line breaks and tabs stay: a body has lines.
fn visible(bytes: &[u8]) -> String {
    escape_except(&String::from_utf8_lossy(bytes), &['\n', '\t', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_on_a_terminal_cannot_move_the_cursor() {
        let mut tail = Tail::default();
        assert_eq!(
            tail.escape(b"a\x1b]0;title\x07\n\tb\xff"),
            "a\\u{1b}]0;title\\u{7}\n\tb\u{fffd}"
        );
        // U+009B, a control of the second set, in two pieces.
        assert_eq!(tail.escape(b"\xc2"), "");
        assert_eq!(tail.escape(b"\x9b31m"), "\\u{9b}31m");
    }

    #[test]
    fn a_character_in_pieces_is_one_character() {
        let text = "zwölf ° 漢 🌧";
        for size in 1..6 {
            let mut tail = Tail::default();
            let pieces: String =
                text.as_bytes().chunks(size).map(|piece| tail.escape(piece)).collect();
            assert_eq!(pieces + &tail.rest(), text, "in pieces of {size}");
        }
        let mut tail = Tail::default();
        assert_eq!(tail.escape("漢".as_bytes().split_last().unwrap().1), "");
        assert_eq!(tail.rest(), "\u{fffd}");
    }

    fn write(path: &Path, how: How, text: &str) -> PathBuf {
        let mut sink = Sink::file(path.to_owned(), how);
        sink.write(text.as_bytes()).unwrap();
        sink.finish().unwrap();
        sink.path().unwrap().to_owned()
    }

    #[test]
    fn a_file_is_made_even_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut sink = Sink::file(path.clone(), How::default());
        assert!(!path.exists());
        sink.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        let nowhere = folder.path().join("no/such/folder");
        let mut sink = Sink::file(nowhere.clone(), How::default());
        let said = sink.write(b"x").unwrap_err().to_string();
        assert!(said.contains("no/such/folder"), "{said}");
        write(&nowhere, How { create_dirs: true, ..How::default() }, "x");
        assert_eq!(std::fs::read(nowhere).unwrap(), b"x");
    }

    #[test]
    fn a_file_goes_on_or_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        write(&path, How::default(), "123456");
        write(&path, How { from: Some(3), ..How::default() }, "abc");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "123abc");
        let kept = How { no_clobber: true, ..How::default() };
        assert_eq!(write(&path, kept, "x"), folder.path().join("out.1"));
        assert_eq!(write(&path, kept, "y"), folder.path().join("out.2"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "123abc");
    }
}
