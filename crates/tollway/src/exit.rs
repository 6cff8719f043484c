//! What the shell is told. One match from failures to exit codes, without `_`: a new way to fail
//! does not compile until it has a number.

use std::io;
use std::process::ExitCode;

use l402::OpenError;
use l402::flow::{FlowError, NotTaken};

use crate::failure::Failure;
use crate::fetch::refusal::is_header_taken;

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
    /// The node did not pay. No money left.
    NotPaid = 3,
    /// No connection, or it broke.
    Network = 4,
    /// The server refused, perhaps after it was paid. What was paid for is in the wallet.
    Refused = 5,
    /// With `--fail`: the server wants fewer requests.
    RateLimited = 6,
    /// A payment may have been made. Only the node knows; the next run asks it.
    MayHavePaid = 7,
    /// It costs more than was agreed to.
    OverLimit = 8,
    /// Payment is needed, and there was nothing to pay with.
    NotTried = 9,
    /// A dry run: it would be paid for.
    WouldPay = 10,
    /// What is offered cannot be trusted, or not over this connection.
    NotTrusted = 11,
    /// With `--fail`: the status is 400 or above, and none of those with a number of their own.
    HttpStatus = 22,
    /// It took longer than was allowed.
    TimedOut = 28,
}

impl Exit {
    /// The one place where a failure gets its number.
    pub(crate) fn of(failure: &Failure) -> Self {
        match failure {
            // Whoever read our output has seen enough.
            Failure::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => Self::Ok,
            Failure::Stdout(_)
            | Failure::Io { .. }
            | Failure::TooLongForJson
            | Failure::TooLong { .. }
            | Failure::Wallet(_)
            | Failure::Client(_)
            | Failure::Gateway(_)
            | Failure::AdminDoor(_)
            | Failure::Purse(_)
            | Failure::Devnet(_)
            | Failure::Demo(_) => Self::General,
            Failure::Fetch(error) => of_fetch(error),
            Failure::Node(failure) => failure.exit(),
            Failure::BrokeOff(_) | Failure::NotAPart | Failure::Compressed(_) => Self::Network,
            Failure::Status { status, .. } => match status.as_u16() {
                401 | 403 => Self::Refused,
                429 => Self::RateLimited,
                _ => Self::HttpStatus,
            },
            Failure::NotToPay(_) => Self::NotTried,
            Failure::AskedAgain { .. } => Self::Refused,
            Failure::TimedOut { .. } | Failure::TooSlow => Self::TimedOut,
            Failure::AdminAsk(error) if error.is_usage() => Self::Usage,
            Failure::AdminAsk(_) => Self::Network,
            Failure::AdminRefused(_) => Self::Refused,
            Failure::Open(OpenError::Node(_)) => Self::Network,
            Failure::Open(_) => Self::Usage,
            Failure::NoToken(_)
            | Failure::Token(_)
            | Failure::NotAPreimage
            | Failure::NotAMacaroon
            | Failure::SeveralMacaroons(_)
            | Failure::Attenuate(_)
            | Failure::Invoice(_)
            | Failure::Ask(_)
            | Failure::NoHome
            | Failure::Settings(_)
            | Failure::NoPurchase(_)
            | Failure::SeveralPurchases(_)
            | Failure::NotEnded(_)
            | Failure::NoBudget(_)
            | Failure::Import(_)
            | Failure::TokenFile(_)
            | Failure::Authority(_)
            | Failure::NoCommand(_)
            | Failure::NoNode(_)
            | Failure::NoChain
            | Failure::NoRoom { .. }
            | Failure::Config { .. }
            | Failure::Secret(_)
            | Failure::Place(_) => Self::Usage,
        }
    }

    /// The number.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

fn of_fetch(error: &tollway_client::Error) -> Exit {
    use tollway_client::Error as E;
    match error {
        E::BadRequest(_) => Exit::Usage,
        E::Http(_) | E::NoAnswer { .. } => Exit::Network,
        E::Redirect { .. } | E::PaidInVain { .. } | E::StillRefused { .. } => Exit::Refused,
        E::Terms(terms) if is_too_dear(terms) => Exit::OverLimit,
        E::Terms(FlowError::NoChallenge) => Exit::Refused,
        E::Terms(terms) if is_header_taken(terms) => Exit::NotTried,
        E::Insecure(_) | E::Terms(_) => Exit::NotTrusted,
        E::OverBudget(_) | E::Policy(_) => Exit::OverLimit,
        E::NoPayer | E::Open(_) => Exit::NotTried,
        E::NotPaid { .. } => Exit::NotPaid,
        E::Unknown { .. } | E::WrongPreimage { .. } | E::NotStored { .. } => Exit::MayHavePaid,
        E::Wallet(_) => Exit::General,
    }
}

/// Whether some offer failed on its price.
fn is_too_dear(error: &FlowError) -> bool {
    match error {
        FlowError::NoOffer(reasons) => {
            reasons.iter().any(|(_, why)| matches!(why, NotTaken::TooDear { .. }))
        }
        FlowError::OverBudget(_) => true,
        _ => false,
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
