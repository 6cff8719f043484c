//! Commands that stay: what they say first, that they work together as they say, and that they stop
//! when asked.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use testkit::Origin;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::market::run;
use crate::run::{Said, tollway};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A command that said one JSON object and goes on.
pub(crate) struct Staying {
    child: Child,
    pub(crate) said: Value,
}

impl Staying {
    pub(crate) async fn start(home: &Path, args: &[&str]) -> Self {
        let mut command = Command::from(tollway(home, args));
        command.args(["--format", "json"]).kill_on_drop(true);
        let log = home.join(format!("{}.log", args[0]));
        let mut child = command.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        let line = line.unwrap_or_else(|| panic!("{}", std::fs::read_to_string(&log).unwrap()));
        let said = serde_json::from_str(&line).unwrap();
        Self { child, said }
    }

    pub(crate) fn text(&self, pointer: &str) -> String {
        let value = self.said.pointer(pointer);
        value.unwrap_or_else(|| panic!("no {pointer} in {}", self.said)).as_str().unwrap().into()
    }

    /// Asks it to stop, as a terminal or a supervisor does, and waits for its end.
    pub(crate) async fn stop(mut self, signal: &str) -> i32 {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("it stops when it is asked to").unwrap().code().unwrap()
    }

    /// Sends it a signal, and does not wait.
    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
    }

    /// Waits until it is gone, with all that it held.
    pub(crate) async fn ended(&mut self) {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("it ends").unwrap();
    }

    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

pub(crate) fn private() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(mode).tempdir().unwrap()
}

async fn get(home: &Path, node: &str, url: &str) -> Said {
    run(tollway(home, ["get", "--node", node, url, "--format", "json"])).await
}

/// A gateway as its user starts it, selling `origin`.
async fn serve(home: &Path, node: &str, origin: &Origin) -> Staying {
    let text = format!(
        "listen = \"127.0.0.1:0\"\nnode = \"{node}\"\n[[service]]\nname = \"api\"\nupstream = \"{}\"\nprice = \"10 sat\"\n",
        origin.url("")
    );
    std::fs::write(home.join("gateway.toml"), text).unwrap();
    Staying::start(home, &["serve", "--config", "gateway.toml"]).await
}

/// Everything as a developer would have it: a private network, a gateway, a buyer, four processes.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_payment_between_real_processes() {
    let home = private();
    let origin = Origin::start().await;
    let devnet = Staying::start(home.path(), &["devnet", "--folder", "net"]).await;
    let (alice, bob) = (devnet.text("/nodes/0/url"), devnet.text("/nodes/1/url"));
    let gateway = serve(home.path(), &bob, &origin).await;
    let url = format!("{}/page", gateway.text("/listen"));

    let said = get(home.path(), &alice, &url).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.json()["payment"]["by"], "bought", "{said:?}");
    let said = get(home.path(), &alice, &url).await;
    assert_eq!(said.json()["payment"]["by"], "token", "{said:?}");

    // A private network that was killed is the same one the next time.
    devnet.kill().await;
    let id = "/nodes/0/node_id";
    let devnet_again = Staying::start(home.path(), &["devnet", "--folder", "net"]).await;
    assert_eq!(devnet_again.text("/nodes/1/url"), bob);
    assert_eq!(devnet_again.text(id).len(), 66);
    let fresh = private();
    let said = get(fresh.path(), &alice, &url).await;
    assert_eq!(said.json()["payment"]["by"], "bought", "{said:?}");

    assert_eq!(gateway.stop("-TERM").await, 0);
    assert_eq!(devnet_again.stop("-INT").await, 0);
    assert_eq!(origin.count("/page"), 3);
}

/// One process owns the node's folder and its purse serves it; the chain is another process's.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_run_from_its_url_and_its_folder_has_one_owner() {
    let home = private();
    let devnet = Staying::start(home.path(), &["devnet", "--nodes", "1"]).await;
    let bitcoind = devnet.text("/bitcoind");
    let node = format!("ldk:{}/n?network=regtest&bitcoind={bitcoind}", home.path().display());
    let socket = home.path().join("n.sock").display().to_string();
    let args = ["node", "run", "--node", &node, "--socket", &socket];
    let running = Staying::start(home.path(), &args).await;
    assert_eq!(running.text("/node"), format!("purse:{socket}"));

    let second = run(tollway(home.path(), ["node", "run", "--node", &node, "--socket", "b"])).await;
    assert_eq!(second.code, 4, "{second:?}");
    assert!(second.stderr.contains("is running already"), "{second:?}");

    assert_eq!(running.stop("-INT").await, 0);
    let again = Staying::start(home.path(), &args).await;
    again.kill().await;
    // The socket of a process that was killed is taken over.
    let again = Staying::start(home.path(), &args).await;
    assert_eq!(again.stop("-TERM").await, 0);
    assert_eq!(devnet.stop("-TERM").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_tells_its_story_and_ends() {
    let home = private();
    let said = run(tollway(home.path(), ["demo"])).await;
    assert_eq!(said.code, 0, "{said:?}");
    for part in ["402 Payment Required", "10 sat", "is the payment hash", "nothing paid"] {
        assert!(said.stderr.contains(part), "no `{part}` in {said:?}");
    }
    assert!(std::fs::read_dir(home.path()).unwrap().next().is_none(), "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_that_stays_can_be_tried_from_another_terminal() {
    use base64::Engine as _;
    let home = private();
    let demo = Staying::start(home.path(), &["demo", "--keep"]).await;
    let said = &demo.said;
    assert_eq!((&said["status"], &said["reused_status"]), (&200.into(), &200.into()), "{said}");
    assert_eq!(said["amount_msat"], 10_000);
    for number in ["first_paid_ms", "payments_per_second", "fee_msat"] {
        assert!(said[number].as_f64().is_some_and(|figure| figure >= 0.0), "{number}: {said}");
    }
    assert!(demo.text("/paid_body").contains("berlin"));
    let preimage: l402::Preimage = demo.text("/preimage").parse().unwrap();
    let invoice: l402::Invoice = demo.text("/invoice").parse().unwrap();
    assert!(preimage.opens(invoice.payment_hash()));
    assert_eq!(demo.text("/payment_hash"), invoice.payment_hash().to_string());
    let token = base64::prelude::BASE64_STANDARD.decode(demo.text("/token")).unwrap();
    let macaroon = l402::Macaroon::parse(&token).unwrap();
    assert_eq!(macaroon.payment_hash(), Some(invoice.payment_hash()));

    let url = demo.text("/paid_url");
    let unpaid = run(tollway(home.path(), ["get", &url])).await;
    assert_eq!(unpaid.code, 9, "a stranger without a node pays nothing: {unpaid:?}");
    let echo = run(tollway(home.path(), ["get", &demo.text("/echo_url")])).await;
    assert!(echo.stdout.contains("x-forwarded-for"), "{echo:?}");
    assert_eq!(demo.stop("-INT").await, 0);
}

/// What `--keep` prints for people can be typed as it is printed.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_that_the_demo_prints_work_as_printed() {
    let home = private();
    let mut command = Command::from(tollway(home.path(), ["demo", "--keep"]));
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut commands = Vec::new();
    let reading = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(" get --node ") {
                commands.push(line);
            } else if line.contains("curl -i") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
    assert_eq!(commands.len(), 3);
    for (line, code) in commands.iter().zip([0, 0, 0]) {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", line]).env("TOLLWAY_HOME", home.path()).current_dir(home.path());
        let said = run(shell).await;
        assert_eq!(said.code, code, "{line}: {said:?}");
    }
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    assert_eq!(ended.expect("it stops").unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_in_a_configuration_is_named_with_its_line() {
    let home = private();
    let text = "lissten = \"x\"\n[[service]]\nname = \"a\"\nupstream = \"http://127.0.0.1:1\"\n";
    std::fs::write(home.path().join("gateway.toml"), text).unwrap();
    let said = run(tollway(home.path(), ["serve", "--check"])).await;
    assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{said:?}");
    assert!(said.stderr.contains("line 1: `lissten`"), "{said:?}");
    assert!(said.stderr.contains("did you mean `listen`?"), "{said:?}");
    assert!(said.stderr.contains("line 2: service `a` has no `price`"), "{said:?}");

    std::fs::write(
        home.path().join("gateway.toml"),
        text.replace("lissten = \"x\"\n", "") + "price = \"1 sat\"",
    )
    .unwrap();
    let said = run(tollway(home.path(), ["serve", "--check"])).await;
    assert_eq!(said.code, 0, "{said:?}");
}

/// A status, without paying.
pub(crate) async fn status(home: &Path, url: &str) -> i64 {
    let said = run(tollway(home, ["get", url, "--format", "json"])).await;
    match said.code {
        9 => 402,
        0 => said.json()["status"].as_i64().unwrap(),
        _ => panic!("{said:?}"),
    }
}

/// Asks until the answer is that one.
async fn becomes(home: &Path, url: &str, wanted: i64) {
    let changed = async { while status(home, url).await != wanted {} };
    tokio::time::timeout(PATIENCE, changed).await.unwrap_or_else(|_| panic!("never {wanted}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_written_configuration_is_in_force_and_one_with_a_mistake_is_not() {
    let home = private();
    let market = crate::market::Market::open().await;
    let gateway = serve(home.path(), &market.node(), &market.origin).await;
    let url = format!("{}/page", gateway.text("/listen"));
    let file = home.path().join("gateway.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(status(home.path(), &url).await, 402);

    std::fs::write(&file, format!("{text}free = [\"/page\"]\n")).unwrap();
    becomes(home.path(), &url, 200).await;

    std::fs::write(&file, format!("{text}price = 7\n")).unwrap();
    let log = home.path().join("serve.log");
    let told = async {
        while !std::fs::read_to_string(&log).unwrap().contains("stays as it was") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(status(home.path(), &url).await, 200, "the last good one stays in force");

    // As an editor does: a new file in the place of the old one.
    let new = home.path().join("gateway.toml.new");
    std::fs::write(&new, &text).unwrap();
    std::fs::rename(&new, &file).unwrap();
    becomes(home.path(), &url, 402).await;
    assert_eq!(gateway.stop("-TERM").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_is_finished_and_a_second_signal_cuts_it() {
    let home = private();
    let market = crate::market::Market::open().await;
    let gateway = serve(home.path(), &market.node(), &market.origin).await;
    let file = home.path().join("gateway.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}free = [\"/slow\", \"/page\"]\n")).unwrap();
    becomes(home.path(), &format!("{}/page", gateway.text("/listen")), 200).await;

    let slow = format!("{}/slow", gateway.text("/listen"));
    let waiting = tokio::spawn(run(tollway(home.path(), ["get", &slow])));
    market.origin.arrived(2).await;
    let id = gateway.child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    // It takes nobody new, and so it has heard.
    let page = format!("{}/page", gateway.text("/listen"));
    let deaf = async { while run(tollway(home.path(), ["get", &page])).await.code != 4 {} };
    tokio::time::timeout(PATIENCE, deaf).await.unwrap();
    assert_eq!(gateway.stop("-TERM").await, 0);
    assert_eq!(waiting.await.unwrap().code, 4, "it was cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_puts_a_price_on_a_server() {
    let home = private();
    let market = crate::market::Market::open().await;
    let (upstream, node) = (market.origin.url(""), market.node());
    let selling = ["sell", &upstream, "--price", "3", "--free", "/health", "--node", &node];
    let args = [&selling[..], &["--listen", "127.0.0.1:0"]].concat();
    let gateway = Staying::start(home.path(), &args).await;
    assert_eq!(gateway.said["services"][0]["price_msat"], 3_000);
    let url = gateway.text("/listen");
    assert_eq!(status(home.path(), &format!("{url}/health")).await, 200);
    assert_eq!(status(home.path(), &format!("{url}/page")).await, 402);
    let quote = ["get", "--dry-run", "--format", "json", "--node", &node, &format!("{url}/page")];
    let said = run(tollway(home.path(), quote)).await;
    assert_eq!(said.json()["amount_msat"], 3_000, "{said:?}");
    assert_eq!(gateway.stop("-INT").await, 0);

    let args = ["sell", "nowhere", "--price", "3", "--node", &node];
    let said = run(tollway(home.path(), args)).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("upstream"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_tls_says_where_and_sends_everybody_there() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let home = private();
    let market = crate::market::Market::open().await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(home.path().join("tls.pem"), made.cert.pem()).unwrap();
    std::fs::write(home.path().join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    let text = format!(
        "listen = \"127.0.0.1:0\"\nnode = \"{}\"\n\
         [tls]\ncertificate = \"file:tls.pem\"\nkey = \"file:tls.key\"\nredirect_http = \"127.0.0.1:0\"\n\
         [[service]]\nname = \"api\"\nupstream = \"{}\"\nprice = \"10 sat\"\n",
        market.node(),
        market.origin.url(""),
    );
    std::fs::write(home.path().join("gateway.toml"), text).unwrap();
    let gateway = Staying::start(home.path(), &["serve"]).await;
    let secure = gateway.text("/listen");
    assert!(secure.starts_with("https://127.0.0.1:"), "{secure}");
    let port = secure.rsplit_once(':').unwrap().1;

    let plain = gateway.text("/redirect");
    let address = plain.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = b"GET /a?b HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    assert!(answer.contains(&format!("location: https://localhost:{port}/a?b\r\n")), "{answer}");
    assert_eq!(gateway.stop("-TERM").await, 0, "both doors are closed");

    std::fs::remove_file(home.path().join("tls.key")).unwrap();
    let said = run(tollway(home.path(), ["serve"])).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("tls.key"), "{said:?}");
}

/// Nobody names a node: the seller's own is in the same process, and its first channel comes with its
/// first payment.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_without_a_node_is_paid_on_one_of_its_own() {
    let home = private();
    let origin = Origin::start().await;
    let devnet = Staying::start(home.path(), &["devnet", "--folder", "net"]).await;
    let (upstream, esplora) = (origin.url(""), format!("esplora:{}", devnet.text("/esplora")));
    let bare = ["sell", &upstream, "--price", "50000", "--network", "regtest"];
    let said = run(tollway(home.path(), bare)).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("`tollway devnet` starts a private network"), "{said:?}");

    let with_chain = [&bare[..], &["--listen", "127.0.0.1:0", "--chain", &esplora]].concat();
    let said = run(tollway(home.path(), with_chain.clone())).await;
    assert_eq!(said.code, 2, "a bill that nobody can pay is worse than none: {said:?}");
    assert!(said.stderr.contains("no channel through which it could be paid"), "{said:?}");
    assert!(said.stderr.contains("--lsp <public key>@<host>:<port>"), "{said:?}");

    let lsp = devnet.text("/lsp");
    let gateway = Staying::start(home.path(), &[&with_chain[..], &["--lsp", &lsp]].concat()).await;
    let url = format!("{}/page", gateway.text("/listen"));
    let alice = devnet.text("/nodes/0/url");
    let buying = ["get", "--node", &alice, "--max-cost", "60000", &url, "--format", "json"];
    let said = run(tollway(home.path(), buying)).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.json()["payment"]["by"], "bought", "{said:?}");
    assert_eq!(origin.count("/page"), 1);
    assert!(home.path().join("node/regtest").is_dir(), "where it says it is");
    assert_eq!(gateway.stop("-TERM").await, 0);

    // From then on it has a channel, and needs nobody to open one.
    let gateway = Staying::start(home.path(), &with_chain).await;
    assert_eq!(gateway.stop("-TERM").await, 0);
    assert_eq!(devnet.stop("-TERM").await, 0);
}
