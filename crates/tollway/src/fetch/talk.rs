//! What is said on stderr while something is bought: one line at the end, or with `--verbose` each
//! step as it is passed.

use tollway_client::{Observer, Payment, Step};

use crate::shell::Shell;
use crate::terminal::{DIM, GOOD, escape, paint, shorten};

/// Prints each step.
#[derive(Debug)]
pub(crate) struct Steps<'a> {
    shell: &'a Shell,
    verbose: bool,
}

impl<'a> Steps<'a> {
    /// Says nothing unless `verbose`.
    pub(crate) const fn new(shell: &'a Shell, verbose: bool) -> Self {
        Self { shell, verbose }
    }
}

impl Observer for Steps<'_> {
    fn step(&self, step: &Step<'_>) {
        if self.verbose {
            let (name, words) = (step.name(), words(step));
            self.shell.say(&format!("{} {}", paint(DIM, format!("* {name}:")), escape(&words)));
        }
    }
}

/// A step in words. Hostile text in it is the caller's to escape.
fn words(step: &Step<'_>) -> String {
    match step {
        Step::Asking { token: None } => "sending the request".to_owned(),
        Step::Asking { token: Some(hash) } => {
            format!("sending the request with the token of payment {hash}")
        }
        Step::Answered { status, .. } => format!("{status}"),
        Step::Refused { receipt, status } => {
            format!("{status} to the token of payment {}; it is kept", receipt.hash)
        }
        Step::Challenged { challenge } => {
            let invoice = &challenge.invoice;
            format!("{} asked, in scheme {}", invoice.amount(), challenge.scheme.name())
        }
        Step::Waiting { origin } => format!("another purchase from {origin} is not over"),
        Step::Claimed { origin } => format!("nobody else buys from {origin} now"),
        Step::Resuming { hash } => format!("asking the node how payment {hash} ended"),
        Step::Held { amount } => format!("{amount} set aside"),
        Step::Begun { hash } => format!("payment {hash} is written down"),
        Step::Paying { hash } => format!("paying {hash}"),
        Step::Paid { fee, .. } => format!("paid, and {fee} for routing"),
        Step::Proven { receipt } => {
            format!("the proof of payment {} is written down", receipt.hash)
        }
        Step::SentAgain { status } => format!("{status} to the proof"),
        Step::Done { status } => format!("{status}"),
        // A step of a newer library.
        other => other.name().to_owned(),
    }
}

/// The one line at the end. Nothing when nothing was asked, as curl says nothing.
pub(crate) fn sum_up(payment: &Payment) -> Option<String> {
    Some(match payment {
        Payment::None => return None,
        Payment::Bought(receipt) => {
            let (amount, fee, origin) = (receipt.amount, receipt.fee, &receipt.origin);
            let what = receipt.description.as_deref().map(shorten);
            let what = what.map(|what| format!(" for “{what}”")).unwrap_or_default();
            let paid = paint(GOOD, format!("paid {amount}"));
            format!("{paid} and {fee} for routing to {origin}{what}; the token is kept")
        }
        Payment::Token(receipt) => {
            format!("opened by the token that {} bought; nothing paid", receipt.amount)
        }
        Payment::Recovered(receipt) => {
            let amount = receipt.amount;
            format!("an earlier payment of {amount} had gone through; nothing more paid")
        }
    })
}
