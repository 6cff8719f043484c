//! Standing rules: who may be paid, how much, and who is asked first.

use std::sync::{Arc, Mutex};

use l402::flow::{FlowError, NotTaken};
use l402::{Invoicer, Msat};
use testkit::{FakeNetwork, FakeNode};
use tollway_client::{
    Approval, Client, Denied, Error, Limit, MemoryWallet, MoneyMoved, Payment, Policy, Proposal,
    Quote, Window,
};

use crate::buying::{get, sat, terms};
use crate::refusing::lines;
use crate::seller::{Offer, Rules, Seller};

fn client(buyer: &FakeNode, policy: Policy) -> Client {
    let wallet = Arc::new(MemoryWallet::new());
    Client::builder(wallet, terms()).payer(buyer.payer()).policy(policy).build().unwrap()
}

async fn denied(client: &Client, url: &str) -> Denied {
    let error = client.fetch(&get(url)).await.unwrap_err();
    assert_eq!(error.money_moved(), MoneyMoved::No);
    let Error::Policy(denied) = error else { panic!("{error:?}") };
    *denied
}

#[tokio::test]
async fn who_may_not_be_paid_is_not_paid() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let url = seller.url("/weather");
    let refusing = Policy { refuse_hosts: vec!["127.0.0.*".parse().unwrap()], ..Policy::default() };
    assert!(matches!(denied(&client(&buyer, refusing), &url).await, Denied::HostRefused { .. }));
    let others = Policy { hosts: vec![".example.com".parse().unwrap()], ..Policy::default() };
    let others = client(&buyer, others);
    assert!(matches!(denied(&others, &url).await, Denied::HostNotAllowed { .. }));
    // What is free is free everywhere.
    others.fetch(&get(&seller.url("/free"))).await.unwrap();
    let allowed = Policy { hosts: vec!["127.0.0.1".parse().unwrap()], ..Policy::default() };
    client(&buyer, allowed).fetch(&get(&url)).await.unwrap();
    assert_eq!((buyer.orders().len(), node.invoices()), (1, 3));
}

#[tokio::test]
async fn only_allowed_payees_networks_and_schemes_are_paid() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let payee = node.invoice(sat(1), "", std::time::Duration::from_secs(60)).await.unwrap().payee();
    let someone =
        "02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619".parse().unwrap();
    for (policy, what) in [
        (Policy { payees: vec![someone], ..Policy::default() }, "payee"),
        (Policy { refuse_payees: vec![payee], ..Policy::default() }, "payee"),
        (Policy { networks: vec![l402::Network::Mainnet], ..Policy::default() }, "network"),
        (Policy { schemes: vec!["payment".parse().unwrap()], ..Policy::default() }, "scheme"),
    ] {
        let error = client(&buyer, policy).fetch(&get(&seller.url("/weather"))).await.unwrap_err();
        let Error::Terms(FlowError::NoOffer(reasons)) = error else { panic!("{error:?}") };
        assert!(reasons.iter().all(|(_, why)| *why == NotTaken::NotAllowed(what)), "{reasons:?}");
    }
    assert!(buyer.orders().is_empty());
    let all = Policy {
        payees: vec![someone, payee],
        networks: vec![l402::Network::Regtest],
        schemes: vec!["lsat".parse().unwrap()],
        ..Policy::default()
    };
    let response = client(&buyer, all).fetch(&get(&seller.url("/weather"))).await.unwrap();
    assert_eq!(response.payment().receipt().unwrap().scheme, "LSAT");
}

/// A dear offer in an allowed scheme is taken before a cheap one in another.
#[tokio::test]
async fn of_the_allowed_offers_the_cheapest_is_paid() {
    let (buyer, node) = FakeNetwork::pair();
    let hour = std::time::Duration::from_secs(3600);
    let mut all = Vec::new();
    for price in [30, 20, 10] {
        let invoice = node.invoice(sat(price), "offer", hour).await.unwrap();
        let line = |name: &str| lines(&invoice).into_iter().find(|line| line.starts_with(name));
        all.push(line(if price == 10 { "LSAT" } else { "L402" }).unwrap());
    }
    let rules = Rules { offer: Offer::Lines(all), ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let policy = Policy { schemes: vec!["L402".parse().unwrap()], ..Policy::default() };
    // Nobody honours these lines; what counts is which one was paid.
    client(&buyer, policy).fetch(&get(&seller.url("/weather"))).await.unwrap_err();
    assert_eq!(node.received_total(), sat(20));
}

#[tokio::test]
async fn a_request_cannot_widen_the_policy() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer, Policy { max_cost: Some(sat(9)), ..Policy::default() });
    let request = get(&seller.url("/weather")).terms(tollway_client::Terms::up_to(sat(1000)));
    let error = client.fetch(&request).await.unwrap_err();
    assert!(error.to_string().contains("at most 9 sat was agreed to"), "{error}");
    assert!(buyer.orders().is_empty());
}

#[tokio::test]
async fn no_more_is_paid_than_was_quoted() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer, Policy::default());
    let request = get(&seller.url("/weather"));
    let Quote::Price(price) = client.quote(&request).await.unwrap() else { panic!("it was free") };
    seller.rules().price = sat(11);
    let error = client.fetch(&request.clone().quoted(&price)).await.unwrap_err();
    assert!(matches!(error, Error::Terms(_)), "{error:?}");
    seller.rules().price = sat(10);
    client.fetch(&request.quoted(&price)).await.unwrap();
    assert_eq!(node.received_total(), sat(10));
}

#[tokio::test]
async fn somebody_is_asked_above_the_line_and_their_no_is_final() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let url = seller.url("/weather");
    let policy = Policy { ask_above: Some(sat(9)), ..Policy::default() };
    let alone = client(&buyer, policy.clone());
    assert!(matches!(denied(&alone, &url).await, Denied::NobodyToAsk { .. }));
    let Quote::Price(price) = alone.quote(&get(&url)).await.unwrap() else { panic!("free") };
    assert!(price.must_ask);

    let asked: Arc<Mutex<Vec<Proposal>>> = Arc::default();
    let answers = |answer: Approval| {
        let asked = Arc::clone(&asked);
        let approver = move |proposal: Proposal| {
            asked.lock().unwrap().push(proposal);
            std::future::ready(answer.clone())
        };
        let wallet = Arc::new(MemoryWallet::new());
        let builder = Client::builder(wallet, terms()).payer(buyer.payer());
        builder.policy(policy.clone()).approver(approver).build().unwrap()
    };
    let no = denied(&answers(Approval::Refused("not today".to_owned())), &url).await;
    assert_eq!(no.to_string(), "not agreed to: not today");
    assert!(buyer.orders().is_empty());
    let proposal = asked.lock().unwrap().pop().unwrap();
    assert_eq!((proposal.path.as_str(), proposal.price.amount), ("/weather", sat(10)));
    assert_eq!(proposal.price.description.as_deref(), Some("weather"));

    let yes = answers(Approval::Granted);
    let response = yes.fetch(&get(&url)).await.unwrap();
    assert!(matches!(response.payment(), Payment::Bought(_)));
    // With the token in hand nobody is asked again, nor below the line.
    yes.fetch(&get(&url)).await.unwrap();
    assert_eq!((asked.lock().unwrap().len(), node.received_total()), (1, sat(10)));
}

/// Who is asked takes so long that the offer has expired: the next one is paid when it is no dearer,
/// and asked about when it is.
#[tokio::test]
async fn what_takes_the_place_of_an_expired_offer_is_asked_about_when_it_is_dearer() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Arc::new(Seller::start(&node, Rules::default()).await);
    // Half of it must be left when a payment begins.
    let expiry = std::time::Duration::from_secs(2);
    seller.rules().expiry = expiry;
    let asked: Arc<Mutex<Vec<Msat>>> = Arc::default();
    let (seen, selling) = (Arc::clone(&asked), Arc::clone(&seller));
    let slow = move |proposal: Proposal| {
        let (seen, selling) = (Arc::clone(&seen), Arc::clone(&selling));
        async move {
            let first = seen.lock().unwrap().is_empty();
            seen.lock().unwrap().push(proposal.price.amount);
            if first {
                tokio::time::sleep(expiry / 2 + std::time::Duration::from_millis(100)).await;
                selling.rules().expiry = std::time::Duration::from_secs(3600);
                selling.rules().price = sat(12);
            }
            Approval::Granted
        }
    };
    let policy = Policy { ask_above: Some(sat(1)), ..Policy::default() };
    let builder = Client::builder(Arc::new(MemoryWallet::new()), terms()).payer(buyer.payer());
    let client = builder.policy(policy).approver(slow).build().unwrap();
    client.fetch(&get(&seller.url("/weather"))).await.unwrap();
    assert_eq!(
        (&asked.lock().unwrap()[..], node.received_total()),
        (&[sat(10), sat(12)][..], sat(12))
    );
}

#[tokio::test]
async fn a_limit_of_the_policy_or_of_the_wallet_ends_spending_with_its_fees() {
    let (buyer, node) = FakeNetwork::pair();
    buyer.on().set_fee(sat(1));
    let rules = Rules { door: crate::seller::Door::PerRoute, caveats: vec![], ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let limit = Limit::new(sat(35), Window::Day);
    let client = client(&buyer, Policy { limits: vec![limit.clone()], ..Policy::default() });
    // 10 and at most 10 for routing are set aside, and 11 are spent: 20 of 35, 20 of 24, 20 of 13.
    for path in ["/a", "/b"] {
        client.fetch(&get(&seller.url(path))).await.unwrap();
    }
    let over = denied(&client, &seller.url("/c")).await;
    let Denied::OverLimit(over) = over else { panic!("{over:?}") };
    assert_eq!((over.asked, over.left, over.limit), (sat(20), sat(13), limit));
    assert!(!over.clock_is_behind);
    // A trial run says so too, and nothing stays set aside.
    let quoted = client.quote(&get(&seller.url("/c"))).await.unwrap_err();
    let Error::Policy(quoted) = quoted else { panic!("{quoted:?}") };
    assert!(matches!(*quoted, Denied::OverLimit(_)), "{quoted:?}");
    let accounts = client.accounts().await.unwrap();
    let [account] = &accounts[..] else { panic!("{accounts:?}") };
    assert_eq!((account.spent, account.held, account.left()), (sat(22), sat(0), sat(13)));
    assert_eq!(node.received_total(), sat(20));
    assert_eq!((client.held(), client.spent()), (sat(0), sat(22)));
}
