//! The simulated chain's JSON-RPC port, as any HTTP client sees it, and the client that nodes use.

use std::net::SocketAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::hashes::Hash;
use bitcoin::{Address, Block, FeeRate, Network, ScriptBuf, Transaction, TxOut, WScriptHash};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use l402::{Sat, Secret};
use serde_json::{Value, json};
use tollway_ldk::chain::{
    Blocks, ChainError, ChainSource, Rpc, RpcLogin, RpcServer, RpcUrlError, Simulated, Tip,
};

const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn serve() -> (Simulated, RpcServer) {
    let chain = Simulated::in_memory();
    let password = Secret::new("sésame: öffne@dich/".to_owned());
    let login = RpcLogin { user: "ali".to_owned(), password };
    let server = RpcServer::bind(chain.clone(), ANY_PORT, login).await.unwrap();
    (chain, server)
}

/// Posts a body with this login; gives the status and the JSON, if it is JSON.
async fn post(server: &RpcServer, login: Option<&str>, body: String) -> (StatusCode, Value) {
    let mut request = Request::post(format!("http://{}/", server.address()));
    if let Some(login) = login {
        let basic = format!("Basic {}", BASE64_STANDARD.encode(login));
        request = request.header("authorization", basic);
    }
    let request = request.body(Full::<Bytes>::from(body)).unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn call(server: &RpcServer, method: &str, params: Value) -> Value {
    let body = json!({ "id": "x", "method": method, "params": params }).to_string();
    let (_, answer) = post(server, Some(&login(server)), body).await;
    assert_eq!(answer["id"], "x");
    assert_eq!(answer["error"], Value::Null, "{method}");
    answer["result"].clone()
}

fn login(server: &RpcServer) -> String {
    format!("{}:{}", server.login().user, server.login().password.expose())
}

fn client(server: &RpcServer) -> Rpc {
    Rpc::new(server.url().expose()).unwrap()
}

/// A script that anyone can spend, for transactions that need no signature.
fn open_script() -> ScriptBuf {
    let anyone = ScriptBuf::from_bytes(vec![0x51]);
    ScriptBuf::new_p2wsh(&WScriptHash::hash(anyone.as_bytes()))
}

/// Spends the first output of `of`, which pays to [`open_script`].
fn spend(of: &Transaction, fee: u64) -> Transaction {
    let mut tx = Transaction {
        output: vec![TxOut {
            value: of.output[0].value - bitcoin::Amount::from_sat(fee),
            script_pubkey: open_script(),
        }],
        ..of.clone()
    };
    tx.input.truncate(1);
    tx.input[0].previous_output = bitcoin::OutPoint::new(of.compute_txid(), 0);
    tx.input[0].witness = bitcoin::Witness::from_slice(&[[0x51]]);
    tx
}

/// A mined payment of the faucet's to [`open_script`].
fn open_coin(chain: &Simulated) -> Transaction {
    let txid = chain.pay(&[(open_script(), Sat::from_sat(100_000))]).unwrap();
    chain.mine(1).unwrap();
    chain.transaction(txid).unwrap().0
}

#[tokio::test]
async fn only_the_right_login_is_answered() {
    let (_chain, server) = serve().await;
    let body = json!({ "id": 1, "method": "getblockcount", "params": [] }).to_string();
    for wrong in [None, Some("ali:"), Some("ali:sesame"), Some("baba:sésame: öffne@dich/")] {
        let (status, answer) = post(&server, wrong, body.clone()).await;
        assert_eq!((status, answer), (StatusCode::UNAUTHORIZED, Value::Null), "{wrong:?}");
    }
    let (status, answer) = post(&server, Some(&login(&server)), body).await;
    assert_eq!((status, &answer["result"]), (StatusCode::OK, &json!(101)));
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order() {
    let (chain, server) = serve().await;
    let batch = json!([
        { "jsonrpc": "1.0", "id": 7, "method": "getblockcount" },
        { "jsonrpc": "1.0", "id": "b", "method": "getinfo", "params": [] },
        { "jsonrpc": "1.0", "id": 9, "method": "getbestblockhash", "params": [] },
    ]);
    let (status, answers) = post(&server, Some(&login(&server)), batch.to_string()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        answers,
        json!([
            { "id": 7, "result": 101, "error": null },
            { "id": "b", "result": null,
              "error": { "code": -32601, "message": "Method not found" } },
            { "id": 9, "result": chain.best().hash, "error": null },
        ])
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_bitcoinds_way() {
    let (_chain, server) = serve().await;
    let login = login(&server);
    for (body, status, code) in [
        ("{", StatusCode::INTERNAL_SERVER_ERROR, -32700),
        ("7", StatusCode::BAD_REQUEST, -32600),
        (r#"{"method": "x", "params": {"a": 1}}"#, StatusCode::BAD_REQUEST, -32600),
        (r#"{"method": "getinfo"}"#, StatusCode::NOT_FOUND, -32601),
        (r#"{"method": "getblock"}"#, StatusCode::INTERNAL_SERVER_ERROR, -8),
        (r#"{"method": "getblockhash", "params": [900]}"#, StatusCode::INTERNAL_SERVER_ERROR, -8),
        (
            r#"{"method": "sendrawtransaction", "params": ["00"]}"#,
            StatusCode::INTERNAL_SERVER_ERROR,
            -22,
        ),
    ] {
        let (got, answer) = post(&server, Some(&login), body.to_owned()).await;
        assert_eq!((got, &answer["error"]["code"]), (status, &json!(code)), "{body}");
    }
}

#[tokio::test]
async fn blocks_are_described_as_bitcoind_does() {
    let (chain, server) = serve().await;
    let tx = open_coin(&chain);
    let best = chain.best();
    let header = call(&server, "getblockheader", json!([best.hash])).await;
    assert_eq!(header["height"], 102);
    assert_eq!(header["confirmations"], 1);
    // Twice the height and two more: each block of a regtest chain is worth two hashes.
    assert_eq!(header["chainwork"], format!("{:064x}", 103 * 2));
    assert_eq!(header["previousblockhash"], call(&server, "getblockhash", json!([101])).await);
    let raw = call(&server, "getblock", json!([best.hash, 0])).await;
    let block: Block = deserialize_hex(raw.as_str().unwrap()).unwrap();
    assert_eq!(block.block_hash(), best.hash);
    let block = call(&server, "getblock", json!([best.hash, 1])).await;
    assert_eq!(block["tx"][1], json!(tx.compute_txid()));
    let block = call(&server, "getblock", json!([best.hash, 2])).await;
    assert_eq!(block["tx"][1]["vout"][0]["value"], json!(0.001));
    assert_eq!(block["tx"][1]["vout"][0]["scriptPubKey"]["type"], "witness_v0_scripthash");

    chain.reorg(1, 2).unwrap();
    let stale = call(&server, "getblockheader", json!([best.hash])).await;
    assert_eq!(stale["confirmations"], -1);
    assert_eq!(stale.get("nextblockhash"), None);
}

#[tokio::test]
async fn waiting_transactions_are_described_with_their_family() {
    let (chain, server) = serve().await;
    let coin = open_coin(&chain);
    let parent = spend(&coin, 1000);
    let child = spend(&parent, 2000);
    for tx in [&parent, &child] {
        let txid = call(&server, "sendrawtransaction", json!([serialize_hex(tx)])).await;
        assert_eq!(txid, json!(tx.compute_txid()));
    }
    let ids = [parent.compute_txid(), child.compute_txid()];
    assert_eq!(call(&server, "getrawmempool", json!([])).await, json!(ids));
    let entry = call(&server, "getmempoolentry", json!([ids[1]])).await;
    assert_eq!(entry["depends"], json!([ids[0]]));
    assert_eq!(entry["ancestorcount"], 2);
    assert_eq!(entry["fees"]["ancestor"], json!(0.00003));
    let all = call(&server, "getrawmempool", json!([true])).await;
    assert_eq!(all[ids[0].to_string()]["spentby"], json!([ids[1]]));
    assert_eq!(all[ids[0].to_string()]["descendantcount"], 2);
    let spent = json!([[{ "txid": ids[0], "vout": 0 }, { "txid": ids[1], "vout": 0 }]]);
    let spending = call(&server, "gettxspendingprevout", spent).await;
    assert_eq!(spending[0]["spendingtxid"], json!(ids[1]));
    assert_eq!(spending[1].get("spendingtxid"), None);
    assert_eq!(call(&server, "gettxout", json!([ids[0], 0])).await, Value::Null);
    assert_eq!(call(&server, "gettxout", json!([ids[1], 0])).await["value"], json!(0.00097));
}

#[tokio::test]
async fn money_and_blocks_come_by_rpc() {
    let (chain, server) = serve().await;
    let address = Address::from_script(&open_script(), Network::Regtest).unwrap().to_string();
    let txid = call(&server, "sendtoaddress", json!([address, 0.5])).await;
    let hashes = call(&server, "generatetoaddress", json!([2, address])).await;
    assert_eq!(hashes[1], json!(chain.best().hash));
    let tx = call(&server, "getrawtransaction", json!([txid, true])).await;
    assert_eq!(tx["confirmations"], 2);
    assert_eq!(tx["vout"][0]["value"], json!(0.5));
    let poor = call(&server, "testmempoolaccept", json!([[tx["hex"]]])).await;
    assert_eq!(poor[0]["allowed"], false);
    let hashes = call(&server, "reorg", json!([2, 3])).await;
    assert_eq!(hashes[2], json!(chain.best().hash));
    assert_eq!(call(&server, "getrawmempool", json!([])).await, json!([txid]));
}

#[tokio::test]
async fn the_client_sees_what_the_chain_is() {
    let (chain, server) = serve().await;
    open_coin(&chain);
    let stale = chain.mine(1).unwrap()[0];
    chain.reorg(1, 2).unwrap();
    let rpc = client(&server);
    let tip = rpc.tip().await.unwrap();
    assert_eq!(tip, chain.best());
    assert_eq!(tip.height, 104);
    let genesis = chain.hash_at(0).await.unwrap();
    for hash in [tip.hash, stale, genesis] {
        assert_eq!(rpc.header(hash).await.unwrap(), chain.header(hash).await.unwrap());
        assert_eq!(rpc.block(hash).await.unwrap(), chain.block(hash).await.unwrap());
    }
    assert_eq!(rpc.hash_at(0).await.unwrap(), genesis);
    assert!(matches!(rpc.hash_at(105).await, Err(ChainError::NotFound { .. })));
    let nowhere = bitcoin::BlockHash::all_zeros();
    assert!(matches!(rpc.block(nowhere).await, Err(ChainError::NotFound { .. })));
    assert!(matches!(rpc.header(nowhere).await, Err(ChainError::NotFound { .. })));
    let two = FeeRate::from_sat_per_vb(2).unwrap();
    assert_eq!(rpc.feerate(6).await.unwrap(), two);
}

#[tokio::test]
async fn the_client_broadcasts_packages() {
    let (chain, server) = serve().await;
    let rpc = client(&server);
    let parent = spend(&open_coin(&chain), 1);
    let child = spend(&parent, 3000);
    let refused = rpc.broadcast(std::slice::from_ref(&parent)).await.unwrap_err();
    assert!(matches!(&refused, ChainError::Refused { why, .. } if why.starts_with("min relay")));
    let package = [parent, child];
    rpc.broadcast(&package).await.unwrap();
    assert_eq!(chain.mempool(), package);
    rpc.broadcast(&package).await.unwrap();
    chain.mine(1).unwrap();
    rpc.broadcast(&package).await.unwrap();
}

#[tokio::test]
async fn the_client_learns_of_a_block_without_asking_again_and_again() {
    let (chain, server) = serve().await;
    let rpc = client(&server);
    let seen = chain.best();
    rpc.changed(bitcoin::BlockHash::all_zeros()).await;
    let waiting = tokio::spawn({
        let rpc = rpc.clone();
        async move {
            rpc.changed(seen.hash).await;
            rpc.tip().await.unwrap()
        }
    });
    let Tip { height, .. } = seen;
    chain.mine(1).unwrap();
    assert_eq!(waiting.await.unwrap().height, height + 1);
    // Without an argument bitcoind waits for whatever comes next.
    let next = call(&server, "waitfornewblock", json!([30_000, seen.hash])).await;
    assert_eq!(next, json!({ "hash": chain.best().hash, "height": height + 1 }));
    let late = call(&server, "waitforblockheight", json!([height + 2, 1])).await;
    assert_eq!(late["height"], height + 1);
}

#[tokio::test]
async fn the_client_says_what_is_the_matter() {
    let (_chain, server) = serve().await;
    let wrong = format!("http://ali:wrong@{}", server.address());
    let error = Rpc::new(&wrong).unwrap().tip().await.unwrap_err();
    assert!(matches!(error, ChainError::Unauthorized { .. }), "{error}");
    let right = client(&server);
    right.tip().await.unwrap();
    server.stop().await;
    let error = right.tip().await.unwrap_err();
    assert!(matches!(error, ChainError::Unreachable { .. }), "{error}");
    assert!(!format!("{right:?} {error:?}").contains("ffne"), "a password in a message");
    for (url, problem) in [
        ("bitcoind", RpcUrlError::NotAUrl),
        ("https://u:p@127.0.0.1:1", RpcUrlError::Scheme),
        ("http://127.0.0.1:1", RpcUrlError::Login),
        ("http://u@127.0.0.1:1", RpcUrlError::Login),
        ("http://u:p@127.0.0.1:1/wallet", RpcUrlError::Path),
        ("http://u:p@127.0.0.1:1?cookie=file:/x", RpcUrlError::OneLogin),
        ("http://127.0.0.1:1?cookie=x", RpcUrlError::NotAFile),
        ("http://127.0.0.1:1?wallet=file:/x", RpcUrlError::Path),
    ] {
        assert_eq!(Rpc::new(url).unwrap_err(), problem, "{url}");
    }
}

/// The cookie of bitcoind is another one after each of its starts.
#[tokio::test]
async fn a_cookie_is_read_again_when_it_changes() {
    let (chain, server) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let cookie = folder.path().join(".cookie");
    let url = format!("http://{}?cookie=file:{}", server.address(), cookie.display());
    let client = Rpc::new(&url).unwrap();
    let missing = client.tip().await.unwrap_err();
    assert!(matches!(missing, ChainError::NoLogin { .. }), "{missing}");
    std::fs::write(&cookie, "ali:of yesterday").unwrap();
    assert!(matches!(client.tip().await, Err(ChainError::Unauthorized { .. })));
    std::fs::write(&cookie, format!("{}\n", login(&server))).unwrap();
    assert_eq!(client.tip().await.unwrap(), chain.best());

    let password = folder.path().join("password");
    std::fs::write(&password, server.login().password.expose()).unwrap();
    let url = format!("http://ali@{}?password=file:{}", server.address(), password.display());
    assert_eq!(Rpc::new(&url).unwrap().tip().await.unwrap(), chain.best());
}
