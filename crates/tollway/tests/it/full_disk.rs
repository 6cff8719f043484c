//! A disk that is full, at every block from the first: the system refuses to let any file grow beyond
//! a limit. Wherever that strikes, nothing is paid that is not written down, and nothing twice.

use std::path::Path;
use std::process::Command;

use crate::market::{Market, run};
use crate::run::{Said, tollway};

/// The command, where no file may be longer than so many blocks of 512 bytes. What would be a signal
/// is an error instead, as it is on a disk that is full.
fn limited(command: &Command, blocks: u64) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#, &blocks.to_string()]);
    shell.arg(command.get_program()).args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell.current_dir(command.get_current_dir().unwrap());
    shell.stdin(std::process::Stdio::null());
    shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    shell
}

/// How long the longest file of a wallet is, in blocks.
fn blocks(home: &Path) -> u64 {
    let files = std::fs::read_dir(home).unwrap().map(|file| file.unwrap());
    let of_wallet = files.filter(|file| file.file_name().to_string_lossy().starts_with("wallet"));
    of_wallet.map(|file| file.metadata().unwrap().len().div_ceil(512)).max().unwrap_or(0)
}

fn error(said: &Said) -> serde_json::Value {
    let error: serde_json::Value =
        serde_json::from_str(&said.stderr).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    error["error"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_disk_is_full_nothing_is_paid_unwritten_or_twice() {
    let (mut unpaid, mut unstored, mut bought) = (0, 0, 0);
    // In steps of less than a page: each of SQLite's writes is struck at some step.
    for blocks in (0..).step_by(6) {
        let market = Market::open().await;
        let command = market.get("/weather/berlin", &["--format", "json"]);
        let said = run(limited(&command, blocks)).await;
        match said.code {
            0 => bought += 1,
            1 => {
                let error = error(&said);
                assert_eq!(
                    (&error["kind"], &error["money_moved"]),
                    (&"wallet".into(), &"no".into())
                );
                assert_eq!(error["safe_to_retry"], false, "somebody should make room first");
                assert_eq!(market.buyer.orders().len(), 0, "{blocks}: {said:?}");
                unpaid += 1;
            }
            7 => {
                let error = error(&said);
                assert_eq!(
                    (&error["kind"], &error["money_moved"]),
                    (&"not_stored".into(), &"yes".into())
                );
                assert_eq!(market.sold(), 1, "{blocks}: {said:?}");
                unstored += 1;
            }
            _ => panic!("{blocks}: {said:?}"),
        }
        // There is room again.
        let said = market.got("/weather/berlin", &[]).await;
        assert_eq!(said.code, 0, "{blocks}: {said:?}");
        assert!(said.stdout.contains("/weather/berlin"), "{blocks}: {said:?}");
        assert_eq!((market.sold(), market.buyer.orders().len()), (1, 1), "{blocks}");
        if bought == 3 {
            break;
        }
    }
    assert!(unpaid > 0 && unstored > 0, "{unpaid} unpaid, {unstored} not stored");
}

/// A wallet that has no room for one more purchase still shows what is in it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_bought_is_used_on_a_full_disk() {
    let market = Market::open().await;
    assert_eq!(market.got("/weather/berlin", &[]).await.code, 0);
    let full = blocks(market.folder.path());
    let command = market.get("/weather/berlin", &[]);
    let said = run(limited(&command, full)).await;
    assert_eq!((said.code, market.sold()), (0, 1), "{said:?}");
    let listed = run(limited(&tollway(market.folder.path(), ["tokens"]), full)).await;
    assert_eq!(listed.code, 0, "{listed:?}");
}
