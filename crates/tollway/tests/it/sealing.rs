//! A wallet that is sealed, and its key where the user keeps it.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::market::{Market, run};
use crate::run::{Said, tollway};

/// Keeps a secret for each label, as the system's program does: by attributes, the secret on stdin.
const KEYRING: &str = r#"#!/bin/sh
set -e
case "$1" in
    store) [ "$2" = --label ] && shift 3 && cat > "$KEYRING/$(echo "$*" | tr ' ' '_')" ;;
    lookup) shift && cat "$KEYRING/$(echo "$*" | tr ' ' '_')" ;;
esac
"#;

struct Home {
    market: Market,
    path: String,
}

impl Home {
    /// With a keyring, or with none.
    async fn open(with_keyring: bool) -> Self {
        let market = Market::open().await;
        let bin = market.folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let mut path = bin.display().to_string();
        if with_keyring {
            path.push_str(":/usr/bin:/bin");
            let tool = bin.join("secret-tool");
            std::fs::write(&tool, KEYRING).unwrap();
            std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { market, path }
    }

    fn command(&self, line: &[&str]) -> Command {
        let home = self.market.folder.path();
        let mut command = tollway(home, line);
        command.env("PATH", &self.path).env("KEYRING", home);
        command
    }

    async fn say(&self, line: &[&str]) -> Said {
        run(self.command(line)).await
    }

    async fn get(&self, more: &[&str]) -> Said {
        let (node, url) = (self.market.node(), self.market.url("/weather/berlin"));
        self.say(&[&["get", "--node", &node, &url], more].concat()).await
    }

    /// The preimage as it would stand in the file.
    async fn preimage(&self, more: &[&str]) -> String {
        let hash = self.market.seller.received()[0].0.to_string();
        let line = ["tokens", "show", &hash, "--show-secrets", "--format", "json"];
        let shown = self.say(&[&line, more].concat()).await.json();
        shown["authorization"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
    }

    fn file_holds(&self, text: &str) -> bool {
        let file = std::fs::read(self.market.folder.path().join("wallet.sqlite")).unwrap();
        file.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_systems_keyring_seals_the_wallet() {
    let home = Home::open(true).await;
    assert_eq!(home.get(&[]).await.code, 0);
    let preimage = home.preimage(&[]).await;
    let sealed = home.say(&["wallet", "seal", "keyring:wallet", "--make"]).await;
    assert_eq!(sealed.code, 0, "{sealed:?}");
    assert!(sealed.stdout.contains("config set wallet_key 'keyring:wallet'"), "{sealed:?}");
    assert!(!home.file_holds(&preimage));

    let locked = home.get(&["--format", "json"]).await;
    assert_eq!(locked.code, 1, "{locked:?}");
    assert!(locked.stderr.contains("is sealed") && locked.stderr.contains("--wallet-key"));
    assert_eq!(home.say(&["config", "set", "wallet_key", "keyring:wallet"]).await.code, 0);
    let opened = home.get(&[]).await;
    assert_eq!((opened.code, home.market.sold()), (0, 1), "{opened:?}");
    let wrong = home.get(&["--wallet-key", "keyring:other"]).await;
    assert!(wrong.stderr.contains("gives no secret called `other`"), "{wrong:?}");

    assert_eq!(home.say(&["wallet", "unseal"]).await.code, 0);
    assert_eq!(home.preimage(&["--wallet-key", "env:NOTHING"]).await, preimage);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_file_or_a_variable_is_changed_for_another() {
    let home = Home::open(false).await;
    assert_eq!(home.get(&[]).await.code, 0);
    let key = format!("file:{}", home.market.folder.path().join("key").display());
    assert_eq!(home.say(&["wallet", "seal", &key, "--make"]).await.code, 0);
    let file = std::fs::metadata(home.market.folder.path().join("key")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let again = home.say(&["wallet", "seal", &key, "--make", "--wallet-key", &key]).await;
    assert_eq!(again.code, 2, "nothing is written over: {again:?}");

    let mut command = home.command(&["wallet", "seal", "env:PHRASE", "--wallet-key", &key]);
    command.env("PHRASE", "correct horse");
    assert_eq!(run(command).await.code, 0);
    let old = home.get(&["--wallet-key", &key]).await;
    assert!(old.stderr.contains("does not open this wallet"), "{old:?}");
    let mut command = home.command(&["tokens", "--wallet-key", "env:PHRASE", "--format", "json"]);
    command.env("PHRASE", "correct horse");
    assert_eq!(run(command).await.json().as_array().unwrap().len(), 1);

    let plain = home.say(&["wallet", "seal", "hunter2"]).await;
    assert_eq!(plain.code, 2, "{plain:?}");
    assert!(!plain.stderr.contains("hunter2"), "{plain:?}");
    let none = home.say(&["tokens", "--wallet-key", "keyring:wallet"]).await;
    assert_eq!(none.code, 1, "{none:?}");
    assert!(none.stderr.contains("secret-tool"), "{none:?}");
    assert_eq!(home.market.sold(), 1);
}
