//! The wallet on a chain of its own.

use std::path::Path;

use bitcoin::FeeRate;

use super::*;
use crate::chain::Simulated;
use crate::sync::catch_up;

const NOW: FeeRate = FeeRate::from_sat_per_kwu(500);

fn open(folder: &Path) -> Wallet {
    let store = Arc::new(Store::open(folder).unwrap());
    Wallet::open(&[7; 32], Network::Regtest, store).unwrap()
}

/// Pays the wallet coins of these sizes, in one block.
async fn give(chain: &Simulated, wallet: &Wallet, coins: &[u64]) {
    let outputs: Vec<_> = coins
        .iter()
        .map(|coin| (wallet.address().unwrap().script_pubkey(), Sat::from_sat(*coin)))
        .collect();
    let tip = chain.best();
    wallet.start_at(BestBlock::new(tip.hash, tip.height)).unwrap();
    chain.pay(&outputs).unwrap();
    chain.mine(1).unwrap();
    follow(chain, wallet).await;
}

async fn follow(chain: &Simulated, wallet: &Wallet) {
    let mut at = wallet.best_block();
    catch_up(chain, &mut at, wallet).await.unwrap();
}

/// A script of somebody else.
fn theirs() -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&WPubkeyHash::from_byte_array([9; 20]))
}

fn fund(wallet: &Wallet, sat: u64) -> Result<Transaction, WalletError> {
    wallet.fund(theirs(), Sat::from_sat(sat), NOW)
}

#[tokio::test]
async fn funding_spends_as_few_coins_as_it_can() {
    let (chain, folder) = (Simulated::in_memory(), tempfile::tempdir().unwrap());
    let wallet = open(folder.path());
    give(&chain, &wallet, &[500_000, 500_000, 1_010_000, 500_000]).await;
    // A selection that rolls dice would take others sooner or later.
    for _ in 0..16 {
        let transaction = fund(&wallet, 1_000_000).unwrap();
        assert_eq!(transaction.input.len(), 1);
        wallet.forget(&transaction);
    }
}

#[tokio::test]
async fn what_is_built_is_spent_by_nothing_else_until_it_is_forgotten() {
    let (chain, folder) = (Simulated::in_memory(), tempfile::tempdir().unwrap());
    let wallet = open(folder.path());
    give(&chain, &wallet, &[100_000, 100_000]).await;
    let spent = |tx: &Transaction| tx.input[0].previous_output;
    let (one, two) = (fund(&wallet, 90_000).unwrap(), fund(&wallet, 90_000).unwrap());
    assert_ne!(spent(&one), spent(&two));
    assert_eq!(wallet.list_confirmed_utxos().unwrap().len(), 0);
    assert!(matches!(fund(&wallet, 90_000), Err(WalletError::Funds { .. })));
    wallet.forget(&one);
    assert_eq!(spent(&fund(&wallet, 90_000).unwrap()), spent(&one));
}

#[tokio::test]
async fn a_quote_is_what_it_then_costs_and_keeps_nothing() {
    let (chain, folder) = (Simulated::in_memory(), tempfile::tempdir().unwrap());
    let wallet = open(folder.path());
    give(&chain, &wallet, &[100_000, 50_000]).await;
    let amount = Sat::from_sat(60_000);
    for _ in 0..4 {
        let (arrives, fee) = wallet.quote(theirs(), Some(amount), NOW).unwrap();
        let transaction = fund(&wallet, 60_000).unwrap();
        let outputs: u64 = transaction.output.iter().map(|output| output.value.to_sat()).sum();
        assert_eq!((arrives, fee.sat()), (amount, 100_000 - outputs));
        wallet.forget(&transaction);
    }
    let (arrives, fee) = wallet.quote(theirs(), None, NOW).unwrap();
    assert_eq!(arrives.sat() + fee.sat(), 150_000);
    assert!(matches!(
        wallet.quote(theirs(), Some(Sat::from_sat(150_000)), NOW),
        Err(WalletError::Funds { .. })
    ));
    assert_eq!(wallet.empty(theirs(), NOW).unwrap().output[0].value.to_sat(), arrives.sat());
}

#[tokio::test]
async fn what_was_sent_is_remembered_until_a_block_has_it() {
    let (chain, folder) = (Simulated::in_memory(), tempfile::tempdir().unwrap());
    let wallet = open(folder.path());
    give(&chain, &wallet, &[100_000]).await;
    let transaction = fund(&wallet, 40_000).unwrap();
    assert!(wallet.pays(&transaction));
    wallet.sent(&transaction).unwrap();
    drop(wallet);
    let wallet = open(folder.path());
    assert_eq!(wallet.waiting(), std::slice::from_ref(&transaction));
    // Its change may never come, and its coin is gone.
    assert!(matches!(fund(&wallet, 40_000), Err(WalletError::Funds { .. })));
    chain.submit(&transaction).unwrap();
    chain.mine(1).unwrap();
    follow(&chain, &wallet).await;
    assert_eq!(wallet.waiting(), []);
    fund(&wallet, 40_000).unwrap();
}

#[tokio::test]
async fn what_was_refused_has_spent_nothing() {
    let (chain, folder) = (Simulated::in_memory(), tempfile::tempdir().unwrap());
    let wallet = open(folder.path());
    give(&chain, &wallet, &[100_000]).await;
    let before = wallet.balance();
    let transaction = fund(&wallet, 40_000).unwrap();
    wallet.sent(&transaction).unwrap();
    assert_ne!(wallet.balance(), before);
    wallet.not_sent(&[transaction.compute_txid()]).unwrap();
    assert_eq!((wallet.balance(), wallet.waiting()), (before, vec![]));
    drop(wallet);
    let wallet = open(folder.path());
    assert_eq!((wallet.balance(), wallet.waiting()), (before, vec![]));
    fund(&wallet, 90_000).unwrap();
}

#[tokio::test]
async fn only_what_spends_nothing_but_the_wallets_is_paid_by_it() {
    let (chain, folder) = (Simulated::in_memory(), tempfile::tempdir().unwrap());
    let wallet = open(folder.path());
    give(&chain, &wallet, &[100_000]).await;
    let mut transaction = fund(&wallet, 40_000).unwrap();
    let mut foreign = transaction.input[0].clone();
    foreign.previous_output.vout += 1_000;
    transaction.input.push(foreign);
    assert!(!wallet.pays(&transaction), "an anchor of a channel is spent too");
}
