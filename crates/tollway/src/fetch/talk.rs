//! What is said while something is bought: one line at the end; with `--verbose` each step and each
//! head as it passes, without what is secret in it; and the same, with all that is received, in the
//! file that `--trace` names.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use l402::PaymentHash;
use tokio::sync::Notify;
use tollway_client::{Observer, Payment, Request, Response, Step, Timings};

use super::flags::AskError;
use super::flags::output::OutputFlags;
use crate::shell::Shell;
use crate::terminal::{DIM, GOOD, escape, paint, shorten};

/// What is told to whom, for all transfers of a command.
#[derive(Debug)]
pub(crate) struct Talk<'a> {
    shell: &'a Shell,
    verbose: bool,
    silent: bool,
    with_time: bool,
    trace: Option<Mutex<File>>,
    with_hex: bool,
    dump: Option<Mutex<File>>,
}

impl<'a> Talk<'a> {
    /// Opens the files that the flags name.
    pub(crate) fn open(flags: &OutputFlags, shell: &'a Shell) -> Result<Self, AskError> {
        let trace = match (&flags.trace, &flags.trace_ascii) {
            (Some(file), _) => Some(create("--trace", file)?),
            (None, Some(file)) => Some(create("--trace-ascii", file)?),
            (None, None) => None,
        };
        let dump = flags.dump_header.as_deref().map(|file| create("--dump-header", file));
        Ok(Self {
            shell,
            verbose: flags.verbose,
            silent: flags.silent,
            with_time: flags.trace_time,
            trace: trace.map(Mutex::new),
            with_hex: flags.trace.is_some(),
            dump: dump.transpose()?.map(Mutex::new),
        })
    }

    /// One line for people, unless they want none.
    pub(crate) fn say(&self, line: &str) {
        if !self.silent {
            self.shell.say(line);
        }
    }

    /// A piece of a body that was received.
    pub(crate) fn received(&self, piece: &[u8]) {
        let Some(trace) = &self.trace else { return };
        let mut text = format!("{}<= data, {} bytes\n", self.time(), piece.len());
        for line in piece.chunks(if self.with_hex { 16 } else { 64 }) {
            let plain: String = line
                .iter()
                .map(|&b| if b.is_ascii_graphic() || b == b' ' { char::from(b) } else { '.' })
                .collect();
            if self.with_hex {
                let hex: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
                text.push_str(&format!("   {:<47}  ", hex.join(" ")));
            }
            text.push_str(&plain);
            text.push('\n');
        }
        write_to(trace, text.as_bytes());
    }

    fn tell(&self, mark: char, line: &str) {
        if self.verbose {
            let time = self.time();
            self.shell.say(&paint(DIM, format!("{time}{mark} {line}")));
        }
        if let Some(trace) = &self.trace {
            let arrow = match mark {
                '>' => "=>",
                '<' => "<=",
                _ => "==",
            };
            let line = format!("{}{arrow} {}\n", self.time(), escape(line));
            write_to(trace, line.as_bytes());
        }
    }

    /// As curl writes it, in UTC.
    fn time(&self) -> String {
        match self.with_time {
            true => jiff::Timestamp::now().strftime("%H:%M:%S%.6f ").to_string(),
            false => String::new(),
        }
    }

    fn head(&self, version: Version, status: StatusCode, headers: &HeaderMap) {
        self.tell('<', &format!("{version:?} {status}"));
        for (name, value) in headers {
            self.tell('<', &format!("{name}: {}", redacted(name, value)));
        }
        if let Some(dump) = &self.dump {
            write_to(dump, head_text(version, status, headers).as_bytes());
        }
    }
}

/// `-` is stdout.
fn create(flag: &'static str, path: &Path) -> Result<File, AskError> {
    let path = if path == Path::new("-") { Path::new("/dev/stdout") } else { path };
    let failed = |source| AskError::Unreadable { flag, path: path.display().to_string(), source };
    File::create(path).map_err(failed)
}

fn write_to(file: &Mutex<File>, bytes: &[u8]) {
    let mut file = file.lock().expect("nothing panics under this lock");
    // A trace that cannot be written must not end a purchase.
    let _: io::Result<()> = file.write_all(bytes);
}

/// Watches one request.
#[derive(Debug)]
pub(crate) struct Steps<'a> {
    talk: &'a Talk<'a>,
    head: Vec<String>,
    /// Whether a payment was begun and has not ended.
    paying: AtomicBool,
    /// Told of each change of it.
    changed: Notify,
    paid: Mutex<Option<PaymentHash>>,
    /// The points on the way, each as it was passed first.
    timings: Mutex<Timings>,
    /// Whether the head of the last answer is still to be told.
    untold: AtomicBool,
}

impl<'a> Steps<'a> {
    /// For this request.
    pub(crate) fn new(
        talk: &'a Talk<'a>,
        method: &http::Method,
        request: &Request,
        headers: &HeaderMap,
    ) -> Self {
        let url = request.url();
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut head = vec![format!("{method} {}{query}", url.path())];
        head.push(format!("host: {}", url.authority()));
        head.extend(
            headers.iter().map(|(name, value)| format!("{name}: {}", redacted(name, value))),
        );
        Self {
            talk,
            head,
            paying: AtomicBool::new(false),
            changed: Notify::new(),
            paid: Mutex::new(None),
            timings: Mutex::default(),
            untold: AtomicBool::new(false),
        }
    }

    /// Whether a payment is on its way.
    pub(crate) fn is_paying(&self) -> bool {
        self.paying.load(Ordering::SeqCst)
    }

    /// Waits until that may have changed.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What was paid, once its proof is written down.
    pub(crate) fn paid(&self) -> Option<PaymentHash> {
        *self.paid.lock().expect("nothing panics under this lock")
    }

    /// The points that were passed on the way, each as it was first.
    pub(crate) fn timings(&self) -> Timings {
        *self.timings.lock().expect("nothing panics under this lock")
    }

    fn passed(&self, later: Timings) {
        let mut timings = self.timings.lock().expect("nothing panics under this lock");
        *timings = timings.or(later);
    }

    /// The response is there.
    pub(crate) fn answered(&self, response: &Response) {
        self.passed(response.timings());
        if self.untold.swap(false, Ordering::SeqCst) {
            self.talk.head(response.version(), response.status(), response.headers());
        }
    }

    fn sending(&self, with_credential: bool) {
        self.head.iter().for_each(|line| self.talk.tell('>', line));
        if with_credential {
            self.talk.tell('>', "authorization: (secret)");
        }
    }
}

impl Observer for Steps<'_> {
    fn step(&self, step: &Step<'_>) {
        self.talk.tell('*', &format!("{}: {}", step.name(), words(step)));
        match step {
            Step::Asking { token } => self.sending(token.is_some()),
            Step::Answered { status, version, headers, timings } => {
                self.passed(*timings);
                self.talk.head(*version, *status, headers.0);
            }
            Step::Begun { .. } => self.paying.store(true, Ordering::SeqCst),
            Step::Proven { receipt } => {
                *self.paid.lock().expect("nothing panics under this lock") = Some(receipt.hash);
                if self.paying.swap(false, Ordering::SeqCst) {
                    self.changed.notify_one();
                    self.sending(true);
                }
            }
            Step::SentAgain { .. } => self.untold.store(true, Ordering::SeqCst),
            _ => {}
        }
    }
}

/// What may be shown of a header: of those that open something, only of which kind they are.
fn redacted(name: &HeaderName, value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    let is_secret = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE].contains(name)
        || value.is_sensitive()
        || name.as_str() == "payment-authorization";
    if !is_secret {
        return text.into_owned();
    }
    match text.split_once([' ', '=']) {
        Some((kind, _)) if *name != COOKIE => format!("{kind} (secret)"),
        _ => "(secret)".to_owned(),
    }
}

/// The status line and the headers, as curl prints them.
pub(crate) fn head_text(version: Version, status: StatusCode, headers: &HeaderMap) -> String {
    let mut text = format!("{version:?} {}", status.as_u16());
    if let Some(reason) = status.canonical_reason() {
        text.push(' ');
        text.push_str(reason);
    }
    text.push_str("\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
    }
    text.push_str("\r\n");
    text
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
        Step::Turn { origin } => format!("nobody else buys from {origin} now"),
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
