//! What a real lnd tells its owner, and what it does for them.

use std::sync::Arc;
use std::time::Duration;

use l402::operator::{
    ChannelOrder, ChannelState, Close, Direction, OperateError, Right, TransferState,
};
use l402::{Msat, Network, NodeUrl, Operator, PayOrder, Sat};

use super::binary::is_there;
use super::rig::{open, pair};

async fn operate(url: &str) -> Arc<dyn Operator> {
    l402::node::operate(&NodeUrl::new(url), tollway_nodes::DRIVERS).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_tells_its_owner_who_it_is_and_what_it_has() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let owner = operate(&pair.buyer.url(&pair.buyer.macaroon("readonly"))).await;
    // A block that has just come makes lnd fall behind for a moment.
    let in_step = async || owner.about().await.unwrap().synced == Some(true);
    pair.buyer.until("lnd says that it is in step", in_step).await;
    let about = owner.about().await.unwrap();
    assert_eq!(about.network, Some(Network::Regtest));
    assert!(about.id.is_some() && about.height.unwrap() > 0 && about.peers.unwrap() > 0);
    assert!(about.version.unwrap().starts_with("0."));
    assert!(about.clock_ahead_s.unwrap().abs() < 60, "it is this machine's clock");

    let channels = owner.channels().await.unwrap();
    let channel = channels.iter().find(|channel| channel.state == ChannelState::Usable).unwrap();
    assert_eq!(channel.capacity, Sat::from_sat(5_000_000));
    assert!(channel.id.ends_with(":0") || channel.id.ends_with(":1"), "{}", channel.id);
    let balance = owner.balance().await.unwrap();
    assert!(balance.outbound.unwrap() >= channel.outbound);
    assert!(balance.onchain.unwrap() > Sat::from_sat(0));

    let rights = owner.rights().await.unwrap();
    assert!(rights.pay.is_no() && rights.be_paid.is_no() && rights.too_wide.is_none());
    assert_eq!(rights.observe, Right::Yes);
    let admin = operate(&pair.buyer.url(&pair.buyer.macaroon("admin"))).await;
    let rights = admin.rights().await.unwrap();
    assert_eq!((&rights.pay, &rights.be_paid), (&Right::Yes, &Right::Yes));
    assert!(rights.too_wide.unwrap().contains("lncli bakemacaroon"));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_books_show_both_sides_of_a_payment() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let (buyer, seller) = (pair.buyer.open().await.unwrap(), pair.seller.open().await.unwrap());
    let minute = Duration::from_secs(60);
    let invoicer = seller.invoicer.unwrap();
    let invoice = invoicer.invoice(Msat::from_msat(7_001), "books", minute).await.unwrap();
    let order = PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience: minute };
    buyer.payer.unwrap().pay(order).await.unwrap();
    for (node, direction) in
        [(buyer.operator, Direction::Sent), (seller.operator, Direction::Received)]
    {
        let rows = node.unwrap().payments(5).await.unwrap();
        assert!(rows.len() <= 5 && rows.windows(2).all(|pair| pair[0].at >= pair[1].at));
        let row = rows.iter().find(|row| row.hash == invoice.payment_hash()).unwrap();
        assert_eq!((row.direction, row.amount), (direction, Msat::from_msat(7_001)));
        // The seller's node writes the end into its books a moment after the buyer has the proof.
        assert_ne!(row.state, TransferState::NotPaid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_opened_and_closed_for_the_owner() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let third = pair.another();
    third.synced().await;
    let key = third.get("/v1/getinfo").await["identity_pubkey"].as_str().unwrap().to_owned();
    let owner = operate(&pair.buyer.url(&pair.buyer.macaroon("admin"))).await;
    assert!(owner.address().await.unwrap().starts_with("bcrt1"));
    let order = ChannelOrder {
        peer: key.parse().unwrap(),
        at: Some(third.p2p()),
        amount: Sat::from_sat(300_000),
        push: Sat::from_sat(1_000),
        public: false,
    };
    let opening = owner.open_channel(&order).await.unwrap();
    let transaction = opening.transaction.unwrap();
    let mine = async || {
        let channels = owner.channels().await.unwrap();
        channels.into_iter().find(|channel| channel.id.starts_with(&transaction))
    };
    assert_eq!(mine().await.unwrap().state, ChannelState::Opening);
    pair.chain.mine(6).unwrap();
    pair.buyer
        .until("the new channel is usable", async || {
            mine().await.is_some_and(|channel| channel.state == ChannelState::Usable)
        })
        .await;
    let channel = mine().await.unwrap();
    assert!(!channel.public);
    assert_eq!(channel.inbound, Msat::from_msat(1_000_000));

    let unknown = owner.close_channel("00:0", Close::Together).await;
    assert!(matches!(unknown, Err(OperateError::NoSuchChannel { id }) if id == "00:0"));
    let closing = owner.close_channel(&channel.id, Close::Together).await.unwrap();
    assert_eq!(closing.transaction.unwrap().len(), 64);
    pair.chain.mine(6).unwrap();
    pair.buyer.until("the channel is gone", async || mine().await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_macaroon_does_not_allow_is_named_with_the_command_that_bakes_it() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let narrow = pair.buyer.bake("narrow", &["/lnrpc.Lightning/GetInfo"]).await;
    let owner = operate(&pair.buyer.url(&narrow)).await;
    assert!(owner.about().await.is_ok());
    let Err(OperateError::Node(error)) = owner.balance().await else { panic!("it may not") };
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("observer.macaroon uri:/lnrpc.Lightning/WalletBalance"), "{cause}");
    let Err(OperateError::Node(error)) = owner.address().await else { panic!("it may not") };
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("owner.macaroon uri:/lnrpc.Lightning/NewAddress"), "{cause}");
    let url = pair.buyer.url(&narrow);
    assert!(open(&url).await.is_err(), "it can neither pay nor be paid");
}
