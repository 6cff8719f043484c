//! `tollway admin`, as administrators use it on a gateway that runs.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tollway_gateway::Config;

use crate::market::{Market, run};
use crate::run::{Said, tollway};
use crate::staying::{Staying, private, status};

/// A gateway with an office, as its owner sets it up.
struct Owner {
    market: Market,
    home: TempDir,
    gateway: Staying,
}

const EVERYTHING: &str = "services:read,services:write,tokens:read,tokens:revoke,payments:read,\
                          health:read,config:read,reload";

impl Owner {
    async fn open() -> Self {
        let (market, home) = (Market::open().await, private());
        let text = format!(
            "# All of it.\nlisten = \"127.0.0.1:0\"\nadmin = \"unix:{0}/run/admin.sock\"\n\
             node = \"{1}\"\nstore = \"sqlite:{0}/gateway.db\"\nsecret = \"file:{0}/gateway.key\"\n\n\
             # What is sold.\n[[service]]\nname = \"api\" # its name\nupstream = \"{2}\"\n\
             price = \"10 sat\"\n",
            home.path().display(),
            market.till(),
            market.origin.url(""),
        );
        std::fs::write(home.path().join("gateway.toml"), text).unwrap();
        let gateway = Staying::start(home.path(), &["serve"]).await;
        let owner = Self { market, home, gateway };
        let args = ["admin", "bake", "--may", EVERYTHING, "--output", "all.credential"];
        let baked = run(tollway(owner.home.path(), args)).await;
        assert_eq!(baked.code, 0, "{baked:?}");
        owner
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.text("/listen"))
    }

    /// `tollway admin` with the credential that may do everything.
    async fn admin(&self, args: &[&str]) -> Said {
        self.with("file:all.credential", args).await
    }

    async fn with(&self, credential: &str, args: &[&str]) -> Said {
        let mut command = tollway(self.home(), [&["admin"], args].concat());
        command.env("TOLLWAY_ADMIN", self.gateway.text("/admin"));
        command.env("TOLLWAY_ADMIN_CREDENTIAL", credential);
        run(command).await
    }

    /// What a command that goes well says, for programs.
    async fn json(&self, args: &[&str]) -> Value {
        let said = self.admin(&[args, &["--format", "json"]].concat()).await;
        assert_eq!(said.code, 0, "{args:?}: {said:?}");
        said.json()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.home().join("gateway.toml")).unwrap()
    }

    /// Buys, with a wallet of its own, and returns what `get` said.
    async fn buy(&self, buyer: &Path) -> Said {
        let (url, node) = (self.url("/page"), self.market.node());
        run(tollway(buyer, ["get", "--node", &node, &url, "--format", "json"])).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_is_seen_added_up_exported_and_its_token_revoked() {
    let owner = Owner::open().await;
    let buyer = private();
    assert_eq!(owner.buy(buyer.path()).await.json()["payment"]["by"], "bought");
    assert_eq!(owner.buy(buyer.path()).await.json()["payment"]["by"], "token");

    let bills = owner.json(&["payments"]).await["bills"].clone();
    assert_eq!((bills.as_array().unwrap().len(), &bills[0]["price_msat"]), (1, &json!(10_000)));
    let said = owner.admin(&["payments", "--csv"]).await;
    assert_eq!(said.stdout.lines().count(), 2, "{said:?}");
    let totals = owner.admin(&["totals", "--by", "day"]).await;
    assert!(totals.stdout.contains("10 sat"), "{totals:?}");
    let id = bills[0]["token_id"].as_str().unwrap();
    let token = owner.admin(&["tokens", id]).await;
    assert!(token.stdout.contains("paid") && token.stdout.contains("10 sat"), "{token:?}");

    let revoked = owner.admin(&["revoke", id]).await;
    assert_eq!((revoked.code, revoked.stdout.trim()), (0, &*format!("revoked {id}")));
    let refused = owner.buy(buyer.path()).await;
    assert_ne!(refused.json()["payment"]["by"], "token", "{refused:?}");
    let fresh = private();
    assert_eq!(owner.buy(fresh.path()).await.json()["payment"]["by"], "bought");
    assert_eq!(owner.json(&["tokens", id]).await["revoked"], true);

    let health = owner.admin(&["health"]).await;
    assert!(health.code == 0 && health.stdout.contains("sqlite"), "{health:?}");
    assert_eq!(owner.gateway.stop("-TERM").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_changed_by_commands_and_the_file_keeps_its_comments() {
    let owner = Owner::open().await;
    let shown = owner.admin(&["service", "show", "api"]).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    std::fs::write(owner.home().join("api.toml"), shown.stdout.replace("10 sat", "25 sat"))
        .unwrap();
    let replaced = owner.admin(&["service", "replace", "api", "api.toml"]).await;
    assert_eq!((replaced.code, replaced.stdout.trim()), (0, "replaced api"), "{replaced:?}");
    let quote = run(tollway(
        owner.home(),
        [
            "get",
            "--dry-run",
            "--format",
            "json",
            "--node",
            &owner.market.node(),
            &owner.url("/page"),
        ],
    ));
    assert_eq!(quote.await.json()["amount_msat"], 25_000, "at once");
    let text = owner.text();
    for kept in ["# All of it.", "# What is sold.", "# its name", "25 sat"] {
        assert!(text.contains(kept), "{text}");
    }

    let free = format!(
        "name = \"free\"\npath = \"/free\"\nupstream = \"{}\"\nauth = \"off\"\n",
        owner.market.origin.url("")
    );
    std::fs::write(owner.home().join("free.toml"), free).unwrap();
    let added = owner.admin(&["service", "add", "free.toml", "--before", "api"]).await;
    assert_eq!(added.code, 0, "{added:?}");
    assert_eq!(status(owner.home(), &owner.url("/free")).await, 200);
    let list = owner.admin(&["services"]).await;
    let names: Vec<&str> =
        list.stdout.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["NAME", "free", "api"], "{list:?}");
    assert_eq!(owner.admin(&["service", "order", "api", "free"]).await.code, 0);
    assert_eq!(owner.admin(&["service", "remove", "free"]).await.stdout.trim(), "removed free");
    assert_eq!(status(owner.home(), &owner.url("/free")).await, 402);

    let bad = shown.stdout.replace("10 sat", "ten sat").replace("upstream", "upstraem");
    std::fs::write(owner.home().join("bad.toml"), bad).unwrap();
    let before = owner.text();
    let refused = owner.admin(&["service", "replace", "api", "bad.toml"]).await;
    assert_eq!(refused.code, 5, "{refused:?}");
    for part in ["did you mean `upstream`?", "`price = \"ten sat\"`", "nothing was changed"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    assert_eq!(owner.text(), before);

    // By hand, and then by command: one file, one way in.
    let by_hand = before.replace("25 sat", "30 sat");
    std::fs::write(owner.home().join("gateway.toml"), by_hand).unwrap();
    let reload = owner.json(&["reload"]).await;
    assert_eq!(owner.json(&["config"]).await["generation"], reload["generation"]);
    assert_eq!(owner.admin(&["config", "--check", "gateway.toml"]).await.code, 0);
    let checked = owner.admin(&["config", "--check", "bad.toml"]).await;
    assert_eq!(checked.code, 2, "{checked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_what_is_missing() {
    let owner = Owner::open().await;
    let narrow = ["narrow", "--may", "health:read", "--output", "watch.credential"];
    assert_eq!(owner.admin(&narrow).await.code, 0);
    let watch = "file:watch.credential";
    assert_eq!(owner.with(watch, &["health"]).await.code, 0);
    let refused = owner.with(watch, &["services"]).await;
    assert_eq!(refused.code, 5);
    assert!(refused.stderr.contains("needs `services:read`"), "{refused:?}");
    let again = owner.with(watch, &["narrow", "--may", "services:read"]).await;
    assert!(again.code == 2 && again.stderr.contains("can only narrow"), "{again:?}");

    // Made under another key.
    let other = private();
    let config = owner.text().replace("gateway.key", "other.key");
    std::fs::write(other.path().join("gateway.toml"), config).unwrap();
    let args = ["admin", "bake", "--may", "health:read", "--valid-for", "1h", "--output", "o"];
    assert_eq!(run(tollway(other.path(), args)).await.code, 0);
    let stranger = format!("file:{}/o", other.path().display());
    let refused = owner.with(&stranger, &["health"]).await;
    assert!(refused.code == 5 && refused.stderr.contains("(401)"), "{refused:?}");

    for (credential, part) in [
        ("all.credential", "never written out"),
        ("file:none", "cannot be read"),
        ("env:NONE", "cannot be read"),
    ] {
        let refused = owner.with(credential, &["health"]).await;
        assert!(refused.code == 2 && refused.stderr.contains(part), "{refused:?}");
    }
    let nowhere = run(tollway(owner.home(), ["admin", "health"])).await;
    assert!(nowhere.code == 2 && nowhere.stderr.contains("TOLLWAY_ADMIN"), "{nowhere:?}");
    let socket = owner.home().join("run/admin.sock");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Killed again and again while services are changed: the file is one or the other, whole, and a gateway
/// starts from it.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_while_it_writes_leaves_a_whole_file() {
    let mut owner = Owner::open().await;
    let shown = owner.admin(&["service", "show", "api"]).await.stdout;
    let long = format!("{shown}\nfree = [{}]\n", "\"/a/very/long/free/path\", ".repeat(2_000));
    std::fs::write(owner.home().join("short.toml"), &shown).unwrap();
    std::fs::write(owner.home().join("long.toml"), &long).unwrap();
    for round in 0..6 {
        let hammer = async {
            for file in ["long.toml", "short.toml"].into_iter().cycle() {
                // It may find nobody, once the gateway is killed.
                if owner.admin(&["service", "replace", "api", file]).await.code != 0 {
                    break;
                }
            }
        };
        let kill = async {
            // At another moment each time; whichever it is, the file has to be whole.
            tokio::time::sleep(std::time::Duration::from_millis(20 + 23 * round)).await;
            owner.gateway.signal("-KILL").await;
        };
        tokio::join!(hammer, kill);
        owner.gateway.ended().await;
        let text = owner.text();
        let config = Config::read(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
        assert_eq!(config.services.len(), 1);
        assert!(text.ends_with('\n') && text.contains("# its name"), "{text}");
        owner.gateway = Staying::start(owner.home(), &["serve"]).await;
        assert_eq!(owner.json(&["config"]).await["in_force"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_the_next_start_is_named() {
    let owner = Owner::open().await;
    let file = owner.home().join("gateway.toml");
    let text = format!("metrics = \"127.0.0.1:0\"\nnode_timeout = \"5s\"\n{}", owner.text());
    std::fs::write(&file, text).unwrap();
    // By this, or by the file's being watched: one of them was first.
    let again = owner.admin(&["reload"]).await;
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stderr.contains("at the next start only: node_timeout\n"), "{again:?}");
    assert_eq!(owner.json(&["reload"]).await["at_next_start"], json!(["node_timeout"]));
    let health = owner.admin(&["health"]).await;
    assert!(health.stdout.contains("at the next start only: node_timeout"), "{health:?}");
    assert_eq!(owner.gateway.stop("-TERM").await, 0);
}
