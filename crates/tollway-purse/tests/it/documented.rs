//! `docs/purse-api.md` says what is so: its JSON has the shapes of the wire, its commands are
//! understood, its tables have every word.

use std::sync::Arc;

use http::StatusCode;
use l402::operator::{About, Balance, Transfer};
use l402::purse::{
    Info, InvoiceReply, InvoiceRequest, KindCode, OutcomeReply, PayReply, PayRequest, Refusal,
    SettledReply, WhyCode,
};
use l402::{Invoice, Node};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use testkit::FakeNetwork;

use crate::owner::Talkative;
use crate::running::Running;

const PAGE: &str = include_str!("../../../../docs/purse-api.md");

/// Every fenced block, with the words after its fence.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = PAGE.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}

/// Reads `json` as `T`, and checks that nothing was left out or made up.
fn exactly<T: Serialize + DeserializeOwned>(json: &str) -> T {
    let read: T = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    let (back, written) = (serde_json::to_value(&read).unwrap(), json.parse::<Value>().unwrap());
    assert_eq!(back, written);
    read
}

#[test]
fn every_json_block_has_the_shape_of_the_wire() {
    let mut checked = Vec::new();
    for (words, json) in blocks() {
        let Some(("json", name)) = words.split_once(' ') else {
            assert_eq!(words, "sh", "a block of JSON says what it is");
            continue;
        };
        match name {
            "info" => drop(exactly::<Info>(json)),
            "pay-reply" => drop(exactly::<PayReply>(json)),
            "outcome-reply" => drop(exactly::<OutcomeReply>(json)),
            "invoice-reply" => drop(exactly::<InvoiceReply>(json)),
            "settled-reply" => drop(exactly::<SettledReply>(json)),
            "refusal" => drop(exactly::<Refusal>(json)),
            "node" => drop(exactly::<About>(json)),
            "balance" => drop(exactly::<Balance>(json)),
            "payments" => drop(exactly::<Vec<Transfer>>(json)),
            _ => panic!("what is {name}?"),
        }
        checked.push(name);
    }
    let count = |name| checked.iter().filter(|checked| **checked == name).count();
    assert_eq!((count("pay-reply"), count("outcome-reply")), (4, 3), "every ending is shown");
    assert_eq!(checked.len(), 14);
}

#[test]
fn the_examples_are_about_one_payment() {
    let mut invoices = Vec::new();
    let mut hashes = Vec::new();
    for (words, json) in blocks() {
        match words {
            "json invoice-reply" => {
                let reply: InvoiceReply = exactly(json);
                invoices.push(Invoice::parse(&reply.invoice).unwrap());
                hashes.push(reply.hash);
            }
            "json pay-reply" => match exactly(json) {
                PayReply::Paid(proof) => hashes.push(proof.preimage.hash()),
                PayReply::Unknown { hash, .. } => hashes.push(hash),
                PayReply::NotPaid { .. } => {}
            },
            "json outcome-reply" => {
                if let OutcomeReply::Paid(proof) = exactly(json) {
                    hashes.push(proof.preimage.hash());
                }
            }
            _ => {}
        }
    }
    assert_eq!(invoices.len(), 1);
    assert_eq!(hashes, [invoices[0].payment_hash(); 4]);
}

/// The path and the body of a `curl` command.
fn command(text: &str) -> (&str, Option<&str>) {
    let (_, url) = text.split_once("http://purse").unwrap();
    let path = url.split_whitespace().next().unwrap();
    (path, url.split_once("-d '").map(|(_, body)| body.trim_end().trim_end_matches('\'')))
}

#[tokio::test]
async fn every_command_is_answered_in_the_shape_that_is_shown() {
    let (buyer, _) = FakeNetwork::pair();
    let node = Node { operator: Some(Arc::new(Talkative)), ..buyer.both() };
    let purse = Running::start(node).await;
    let mut asked = Vec::new();
    for (_, text) in blocks().iter().filter(|(_, text)| text.starts_with("curl")) {
        let (path, body) = command(text);
        let (status, reply) = match body {
            Some(body) => purse.post_text(path, body.to_owned()).await,
            None => purse.get(path).await,
        };
        assert_eq!(status, StatusCode::OK, "{text}: {reply}");
        let (_, name) = path.split_at("/v1/".len());
        let (name, reply) = (name.split('/').next().unwrap(), reply.to_string());
        match name {
            "info" => drop(exactly::<Info>(&reply)),
            "outcome" => drop(exactly::<OutcomeReply>(&reply)),
            "settled" => drop(exactly::<SettledReply>(&reply)),
            "balance" => drop(exactly::<Balance>(&reply)),
            "pay" => {
                exactly::<PayRequest>(body.unwrap());
                exactly::<PayReply>(&reply);
            }
            "invoice" => {
                exactly::<InvoiceRequest>(body.unwrap());
                exactly::<InvoiceReply>(&reply);
            }
            _ => panic!("what is {path}?"),
        }
        asked.push(name);
    }
    assert_eq!(asked, ["info", "info", "pay", "outcome", "invoice", "settled", "balance"]);
}

#[test]
fn every_word_has_its_line() {
    let whys = [
        WhyCode::NoRoute,
        WhyCode::Balance,
        WhyCode::Expired,
        WhyCode::PayeeRefused,
        WhyCode::WrongNetwork,
        WhyCode::Unreachable,
        WhyCode::Refused,
    ];
    let kinds = [
        KindCode::Unreachable,
        KindCode::Timeout,
        KindCode::Unauthorized,
        KindCode::Refused,
        KindCode::Storage,
        KindCode::Protocol,
    ];
    assert_eq!(table("| `why` |"), whys.map(|why| word(&why)));
    assert_eq!(table("| `kind` |"), kinds.map(|kind| word(&kind)));
}

fn word(code: &impl Serialize) -> String {
    serde_json::to_value(code).unwrap().as_str().unwrap().to_owned()
}

/// The first column of the table that begins so.
fn table(head: &str) -> Vec<String> {
    let (_, table) = PAGE.split_once(head).unwrap();
    let lines = table.lines().skip(2).take_while(|line| line.starts_with("| `"));
    lines.map(|line| line.split('`').nth(1).unwrap().to_owned()).collect()
}
