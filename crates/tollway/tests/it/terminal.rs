//! What somebody at a terminal sees and answers: the real binary on a pseudo terminal, which `script` of
//! util-linux makes.

use std::process::{Command, Stdio};
use std::time::Duration;

use qrcode::{Color, QrCode};
use testkit::Act;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::market::Market;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A terminal of 80 columns, on which one command runs.
struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    /// What was shown; a character may not be there whole yet.
    bytes: Vec<u8>,
    shown: String,
}

impl Terminal {
    fn run(command: &Command) -> Self {
        let quoted =
            |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap().replace('\'', r"'\''"));
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line: Vec<_> = words.map(quoted).collect();
        let line = format!("stty cols 80 rows 24; exec {}", line.join(" "));
        let mut script = tokio::process::Command::new("script");
        script.args(["-qefc", &line, "/dev/null"]).env_clear();
        script.env("PATH", "/usr/bin:/bin").env("TERM", "xterm").env("SHELL", "/bin/sh");
        for (name, value) in command.get_envs() {
            script.env(name, value.unwrap());
        }
        script.current_dir(command.get_current_dir().unwrap()).kill_on_drop(true);
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = script.spawn().expect("`script` of util-linux is needed for these tests");
        let (keyboard, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, keyboard, screen, bytes: Vec::new(), shown: String::new() }
    }

    /// Waits for the next that is shown; whether there is more.
    async fn look(&mut self) -> bool {
        let mut piece = [0; 4096];
        let read = tokio::time::timeout(PATIENCE, self.screen.read(&mut piece)).await;
        let read = read.unwrap_or_else(|_| panic!("nothing follows {:?}", self.shown)).unwrap();
        self.bytes.extend_from_slice(&piece[..read]);
        self.shown = String::from_utf8_lossy(&self.bytes).into_owned();
        read > 0
    }

    /// Waits until that is on the screen.
    async fn until(&mut self, text: &str) {
        while !self.shown.contains(text) {
            assert!(self.look().await, "`{text}` is not in {:?}", self.shown);
        }
    }

    async fn answer(&mut self, line: &str) {
        self.keyboard.write_all(line.as_bytes()).await.unwrap();
    }

    /// Waits until what is typed is no longer shown, and types it.
    async fn answer_unseen(&mut self, line: &str) {
        let script = self.child.id().unwrap();
        let children = format!("/proc/{script}/task/{script}/children");
        let children = std::fs::read_to_string(children).unwrap();
        let tty = format!("/proc/{}/fd/0", children.split_whitespace().next().unwrap());
        let tty = std::fs::read_link(tty).unwrap();
        let hidden = async {
            loop {
                let mut stty = tokio::process::Command::new("stty");
                let told = stty.arg("-F").arg(&tty).arg("-a").output().await.unwrap();
                if String::from_utf8(told.stdout).unwrap().contains("-echo ") {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, hidden).await.expect("what is typed stays on the screen");
        self.answer(line).await;
    }

    /// Waits for its end: the exit code, and all that was shown.
    async fn end(mut self) -> (i32, String) {
        while self.look().await {}
        (self.child.wait().await.unwrap().code().unwrap(), self.shown)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_at_the_terminal_is_asked_and_the_answer_counts() {
    let market = Market::open().await;
    for (answer, code, sold) in [("n\n", 8, 0), ("\n", 8, 0), ("y\n", 0, 1)] {
        let mut terminal = Terminal::run(&market.get("/weather/berlin", &["--ask-above", "5"]));
        terminal.until("Pay? [y/N]").await;
        assert_eq!(market.sold(), 0, "nothing is paid before the answer");
        for told in ["10 sat", "up to 10 sat for routing", "GET http://", "/weather/berlin"] {
            assert!(terminal.shown.contains(told), "{told}: {:?}", terminal.shown);
        }
        terminal.answer(answer).await;
        let (ended, shown) = terminal.end().await;
        assert_eq!((ended, market.sold()), (code, sold), "{shown:?}");
        assert_eq!(shown.contains("origin: GET /weather/berlin"), sold == 1, "{shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_limit_and_with_yes_nobody_is_asked() {
    let market = Market::open().await;
    for flags in [["--ask-above", "10"].as_slice(), &["--ask-above", "5", "--yes", "--buy-again"]] {
        let (code, shown) = Terminal::run(&market.get("/weather/berlin", flags)).end().await;
        assert_eq!(code, 0, "{shown:?}");
        assert!(!shown.contains("Pay?"), "{shown:?}");
    }
}

/// What a server calls its wares can move no cursor.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_on_a_terminal_is_shown_and_not_obeyed() {
    let market = Market::open().await;
    let command = market.get("/mirror", &["-d", "a\u{1b}[2Jb"]);
    let (code, shown) = Terminal::run(&command).end().await;
    assert_eq!(code, 0, "{shown:?}");
    assert!(shown.contains(r"a\u{1b}[2Jb") && !shown.contains("\u{1b}[2J"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_transfer_has_a_bar_below_what_was_paid() {
    let market = Market::open().await;
    let (url, node) = (format!("http://{}/drip", market.gateway), market.node());
    let line = ["get", &url, "--node", &node, "-o", "drips"];
    let mut terminal = Terminal::run(&crate::run::tollway(market.folder.path(), line));
    for _ in 0..PATIENCE.as_secs() * 4 {
        market.origin.drip();
        // The bar is drawn when something comes after a second.
        let looked = tokio::time::timeout(Duration::from_millis(250), terminal.look());
        if looked.await.is_ok() && terminal.shown.contains("B/s") {
            break;
        }
    }
    let shown = terminal.shown.clone();
    let (paid, bar) = (shown.find("paid 10 sat"), shown.find("B/s"));
    assert!(paid < bar && bar.is_some(), "{shown:?}");
    market.origin.end_drips();
    let (code, shown) = terminal.end().await;
    assert_eq!(code, 0, "{shown:?}");

    let mut quiet = Terminal::run(&market.get("/slow", &["-o", "slow", "-s"]));
    market.origin.release();
    while quiet.look().await {}
    assert_eq!(quiet.shown, "", "silent is silent");
}

/// The invoice in the code, read module by module, is the one that is printed beside it.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_shown_as_a_qr_code_that_can_be_read() {
    let market = Market::open().await;
    let url = market.url("/weather/berlin");
    let line = ["get", "--print-invoice", "--network", "regtest", &url];
    let command = crate::run::tollway(market.folder.path(), line);
    let (code, shown) = Terminal::run(&command).end().await;
    assert_eq!(code, 7, "{shown:?}");
    let invoice = shown.split_whitespace().find(|word| word.starts_with("lnbcrt")).unwrap();
    let expected = QrCode::new(invoice.to_uppercase()).unwrap();

    let dots = |c: char| matches!(c, ' ' | '▀' | '▄' | '█');
    let plain = strip_styles(&shown);
    let rows = plain.lines().map(|line| line.trim_end_matches('\r'));
    let rows: Vec<&str> = rows.filter(|row| !row.is_empty() && row.chars().all(dots)).collect();
    let width = expected.width();
    // Four modules of quiet on each side.
    assert!(rows.iter().all(|row| row.chars().count() == width + 8), "{shown}");
    let is_dark = |x: usize, y: usize| {
        let dot = rows[(y + 4) / 2].chars().nth(x + 4).unwrap();
        dot == '█' || dot == if (y + 4).is_multiple_of(2) { '▀' } else { '▄' }
    };
    let colors = expected.to_colors();
    for (at, color) in colors.iter().enumerate() {
        assert_eq!(is_dark(at % width, at / width), *color == Color::Dark, "module {at}");
    }
    assert!(
        shown.contains("\u{1b}[30m\u{1b}[107m"),
        "dark on light, whatever the terminal's colours"
    );
}

fn strip_styles(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => drop(rest.by_ref().find(|c| c.is_ascii_alphabetic())),
            c => plain.push(c),
        }
    }
    plain
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_hangs_is_waited_for_at_the_terminal_too() {
    let market = Market::open().await;
    let cue = market.buyer.next(Act::PayLate);
    let terminal = Terminal::run(&market.get("/weather/berlin", &[]));
    cue.arrived().await;
    cue.proceed();
    let (code, shown) = terminal.end().await;
    assert_eq!((code, market.sold()), (0, 1), "{shown:?}");
}

/// The whole life of a wallet whose key is in nothing but its owner's head.
#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_wallet_is_typed_and_not_shown() {
    let market = Market::open().await;
    assert_eq!(market.got("/weather/berlin", &[]).await.code, 0);
    let seal = || crate::run::tollway(market.folder.path(), ["wallet", "seal", "ask"]);
    for (again, code) in [("correct horse\n", 2), ("hunter2 hunter2\n", 0)] {
        let mut terminal = Terminal::run(&seal());
        terminal.until("The wallet's new key:").await;
        terminal.answer_unseen("hunter2 hunter2\n").await;
        terminal.until("Again:").await;
        terminal.answer_unseen(again).await;
        let (ended, shown) = terminal.end().await;
        assert_eq!(ended, code, "{shown:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("horse"), "{shown:?}");
    }
    // Where nobody sits there is nobody to ask, and the wallet says what it wants.
    let alone = market.got("/weather/berlin", &[]).await;
    assert_eq!(alone.code, 1, "{alone:?}");
    assert!(alone.stderr.contains("--wallet-key"), "{alone:?}");
    for (typed, code) in [("correct horse\n", 1), ("hunter2 hunter2\n", 0)] {
        let mut terminal = Terminal::run(&market.get("/weather/berlin", &[]));
        terminal.until("The wallet's key:").await;
        terminal.answer_unseen(typed).await;
        let (ended, shown) = terminal.end().await;
        assert_eq!(ended, code, "{shown:?}");
        assert_eq!(shown.matches("key:").count(), 1, "it is asked for once: {shown:?}");
    }
    assert_eq!(market.sold(), 1, "the token was at hand");
}
