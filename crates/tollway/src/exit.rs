//! What the shell is told. One match from failures to exit codes, without `_`: a new way to fail
//! does not compile until it has a number.

use std::io;
use std::process::ExitCode;

use crate::failure::Failure;

/// How a command ended. The numbers are a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done. For `get`: the response is there, whatever its status.
    Ok = 0,
    /// Something failed that has no number of its own.
    General = 1,
    /// The command line, the configuration or another input is wrong.
    Usage = 2,
}

impl Exit {
    /// The one place where a failure gets its number.
    pub(crate) fn of(failure: &Failure) -> Self {
        match failure {
            // Whoever read our output has seen enough.
            Failure::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => Self::Ok,
            Failure::Stdout(_) | Failure::Io { .. } | Failure::TooLongForJson => Self::General,
            Failure::NoToken(_)
            | Failure::Token(_)
            | Failure::NotAPreimage
            | Failure::NotAMacaroon
            | Failure::SeveralMacaroons(_)
            | Failure::Attenuate(_)
            | Failure::Invoice(_)
            | Failure::Ask(_) => Self::Usage,
        }
    }

    /// The number.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
