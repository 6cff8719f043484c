//! A node in another process, as the parent holds it.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use super::Failure;
use super::child::VARIABLE;
use super::words::{Answer, Ask, End, Question, Reply, State};

/// One life of a node: from its start to its death.
pub(crate) struct Remote {
    process: tokio::sync::Mutex<Child>,
    input: tokio::sync::Mutex<ChildStdin>,
    next: AtomicU64,
    waiting: Waiting,
}

/// Who waits for which answer; nobody any more once the process has gone.
type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>>;

/// Its process has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the node's process has ended")
    }
}

impl std::error::Error for Gone {}

impl Remote {
    /// Starts this executable again as a node. What it logs is added to `log`.
    pub(crate) fn start(
        arguments: &[&str],
        url: &str,
        log: &Path,
    ) -> Result<(Self, oneshot::Receiver<Answer>), Failure> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .env(VARIABLE, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log))
            .kill_on_drop(true)
            .spawn()?;
        let input = process.stdin.take().ok_or("standard input was asked for")?;
        let output = process.stdout.take().ok_or("standard output was asked for")?;
        let (sender, ready) = oneshot::channel();
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::from([(0, sender)]))));
        tokio::spawn(listen(output, Arc::clone(&waiting)));
        let process = tokio::sync::Mutex::new(process);
        let input = tokio::sync::Mutex::new(input);
        Ok((Self { process, input, next: AtomicU64::new(1), waiting }, ready))
    }

    /// SIGKILL. Returns when the process is gone.
    pub(crate) async fn kill(&self) -> Result<(), Failure> {
        Ok(self.process.lock().await.kill().await?)
    }

    /// Asks, and waits for the answer. [`Gone`] when the process ends before it.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Answer, Failure> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        match &mut *self.waiting.lock().expect("no panic while held") {
            Some(waiting) => drop(waiting.insert(id, sender)),
            None => return Err(Gone.into()),
        }
        let mut line = serde_json::to_string(&Question { id, ask })?;
        line.push('\n');
        self.input.lock().await.write_all(line.as_bytes()).await.map_err(|_| Gone)?;
        match answer.await.map_err(|_| Gone)? {
            Answer::Failed(why) => Err(why.into()),
            answer => Ok(answer),
        }
    }

    pub(crate) async fn text(&self, ask: Ask) -> Result<String, Failure> {
        match self.ask(ask).await? {
            Answer::Text(text) => Ok(text),
            other => Err(format!("a text was expected, not {other:?}").into()),
        }
    }

    /// Asks about a payment, or for one.
    pub(crate) async fn end(&self, ask: Ask) -> Result<End, Failure> {
        match self.ask(ask).await? {
            Answer::Ended(end) => Ok(end),
            other => Err(format!("a payment's end was expected, not {other:?}").into()),
        }
    }

    pub(crate) async fn is_settled(&self, hash: &str) -> Result<bool, Failure> {
        match self.ask(Ask::Settled { hash: hash.to_owned() }).await? {
            Answer::Settled(settled) => Ok(settled),
            other => Err(format!("yes or no was expected, not {other:?}").into()),
        }
    }

    pub(crate) async fn state(&self) -> Result<State, Failure> {
        match self.ask(Ask::State).await? {
            Answer::State(state) => Ok(state),
            other => Err(format!("a state was expected, not {other:?}").into()),
        }
    }
}

async fn listen(output: ChildStdout, waiting: Waiting) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // A line cut off by the kill, or of the test harness.
        let Ok(Reply { id, answer }) = serde_json::from_str(&line) else { continue };
        let mut waiting = waiting.lock().expect("no panic while held");
        if let Some(asker) = waiting.as_mut().and_then(|waiting| waiting.remove(&id)) {
            let _ = asker.send(answer);
        }
    }
    waiting.lock().expect("no panic while held").take();
}
