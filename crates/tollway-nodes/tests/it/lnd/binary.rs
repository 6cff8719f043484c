//! Where the lnd is that the tests run, and one running process of it.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

/// Whether there is an lnd to test against. Says so loudly where there is none: past the capture of
/// the test's output.
pub(crate) fn is_there() -> bool {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let found = find();
        if found.is_none() {
            let _ = writeln!(
                std::io::stderr(),
                "\n*** SKIPPED: no lnd to test against; build it with tests/interop/lnd.sh ***\n"
            );
        }
        found
    });
    found.is_some()
}

/// The binary that `TOLLWAY_LND` names, or else the one that the script has built.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("TOLLWAY_LND") {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "TOLLWAY_LND names no file: {}", named.display());
        return Some(named);
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interop/lnd.sh");
    let built = Command::new("bash").args([script, "--if-built"]).output().ok()?;
    let path = String::from_utf8(built.stdout).ok()?;
    built.status.success().then(|| PathBuf::from(path.trim()))
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A running lnd, or another server. It is killed with all that it started, and its folder removed, when
/// this is dropped, and also when the test's process ends in any other way: a shell holds it, and waits
/// for the end of its standard input.
pub(crate) struct Process {
    shell: Child,
    input: Option<ChildStdin>,
    pid: String,
}

impl Process {
    pub(crate) fn start(binary: &Path, folder: &Path, arguments: &[String]) -> Self {
        let hold = r#"folder=$1; shift
            setsid "$@" >>"$folder/log" 2>&1 </dev/null & pid=$!
            echo $pid
            read -r word
            kill -9 -$pid || kill -9 $pid; wait $pid
            [ "$word" = keep ] || rm -rf "$folder""#;
        let mut shell = Command::new("sh")
            .args(["-c", hold, "sh"])
            .arg(folder)
            .arg(binary)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let input = shell.stdin.take();
        Self { shell, input, pid: pid.trim().to_owned() }
    }

    /// Kills it between two instructions. Its folder stays.
    pub(crate) fn kill(mut self) {
        self.input.as_mut().unwrap().write_all(b"keep\n").unwrap();
        self.end();
    }

    /// Stops it where it is, or lets it go on.
    pub(crate) fn freeze(&self, still: bool) {
        let signal = if still { "-STOP" } else { "-CONT" };
        assert!(Command::new("kill").args([signal, &self.pid]).status().unwrap().success());
    }

    fn end(&mut self) {
        drop(self.input.take());
        let _ = self.shell.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
