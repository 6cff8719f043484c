//! `tollway node setup lnd` with the real program.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::binary::{find, free_port, is_there};
use crate::market::run;
use crate::run::tollway;

/// Ends the process that the command has started, however the test ends.
struct Started(u64);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-9", &self.0.to_string()]).status();
    }
}

fn setup(home: &Path, ports: [u16; 3], more: &[&str]) -> Command {
    let [rest, rpc, nobody] = ports.map(|port| port.to_string());
    let peer = format!("127.0.0.1:{nobody}");
    let lnd = find().unwrap().display().to_string();
    let mut args = vec!["node", "setup", "lnd", "--network", "regtest", "--chain-peer", &peer];
    args.extend(["--rest-port", &rest, "--rpc-port", &rpc, "--lnd", &lnd]);
    args.extend(more);
    tollway(home, args)
}

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_a_node_in_the_settings() {
    if !is_there() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let ports = [free_port(), free_port(), free_port()];
    let json = ["--format", "json"];
    let refused = run(setup(home.path(), ports, &json)).await;
    let pid = lnd_of(home.path());
    let _started = Started(pid);
    assert_eq!(refused.code, 2, "nobody is there to see the seed: {refused:?}");
    assert!(refused.stderr.contains("--print-seed"), "{refused:?}");

    let said = run(setup(home.path(), ports, &["--format", "json", "--print-seed"])).await;
    assert_eq!(said.code, 0, "{said:?}");
    let mut lines = said.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (seed, report) = (lines.next().unwrap(), lines.next().unwrap());
    let words = seed["seed"].as_array().unwrap();
    assert_eq!(words.len(), 24);
    let url = report["node"].as_str().unwrap();
    let settings = std::fs::read_to_string(report["stored"].as_str().unwrap()).unwrap();
    assert!(settings.contains(url), "{settings}");

    // The seed is nowhere; what is secret is its owner's alone.
    let phrase = words.iter().map(|word| word.as_str().unwrap()).collect::<Vec<_>>().join(" ");
    let folder = Path::new(report["lnddir"].as_str().unwrap());
    for file in ["lnd.conf", "wallet-password", "tollway-regtest.macaroon"] {
        let path = folder.join(file);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o077, 0, "{file}");
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        assert!(!text.contains(&phrase), "{file}");
    }

    // The macaroon may pay and be paid, and nothing else.
    let again = run(setup(home.path(), ports, &json)).await;
    assert_eq!(again.code, 0, "what is done is not done again: {again:?}");
    let again: Value = serde_json::from_str(again.stdout.trim()).unwrap();
    assert_eq!((&again["node"], &again["pid"]), (&report["node"], &Value::Null));
    let doctor = run(tollway(home.path(), ["node", "doctor", "--node", url])).await;
    assert!(doctor.stdout.contains("it may pay"), "{doctor:?}");
    assert!(doctor.stdout.contains("it may be paid"), "{doctor:?}");
    assert!(!doctor.stdout.contains("far more than is needed"), "{doctor:?}");
    let other = run(setup(home.path(), ports, &["--chain-peer", "127.0.0.1:1"])).await;
    assert_eq!(other.code, 0, "a node that has a wallet keeps its own settings: {other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_program_it_says_where_to_get_it_and_starts_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut command = tollway(home.path(), ["node", "setup", "lnd", "--network", "signet"]);
    command.env("PATH", "/nowhere");
    let said = run(command).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("github.com/lightningnetwork/lnd/releases"), "{said:?}");
}

/// The process that runs in that folder.
fn lnd_of(home: &Path) -> u64 {
    let folder = home.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: u64 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        (line.contains("--lnddir=") && line.contains(folder)).then_some(pid)
    });
    processes.last().unwrap()
}
