//! What the simulated chain takes, what it refuses, and what it still knows after a kill.

mod left_behind;
mod owner;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::key::{TapTweak, TweakedKeypair};
use bitcoin::secp256k1::{Message, Secp256k1};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::{Amount, Sequence, TxOut, Witness};
use tollway_ldk::chain::{Blocks, ChainError, ChainSource, Refusal, Simulated};

use owner::{COIN, Coin, Owner, unsigned};

#[tokio::test]
async fn every_block_has_work_and_commits_to_its_transactions() {
    let chain = Simulated::in_memory();
    let owner = Owner::new(1);
    chain.pay(&[(owner.script(), COIN)]).unwrap();
    chain.mine(1).unwrap();
    let tip = chain.tip().await.unwrap();
    assert_eq!(tip.height, 102);
    for height in 1..=tip.height {
        let hash = chain.hash_at(height).await.unwrap();
        let block = chain.block(hash).await.unwrap();
        assert_eq!(chain.header(hash).await.unwrap(), (block.header, height));
        assert_eq!(block.header.validate_pow(block.header.target()).unwrap(), hash);
        assert!(block.check_merkle_root() && block.check_witness_commitment());
        if height > 16 {
            // Below, the height is one opcode, which is not read here.
            assert_eq!(block.bip34_block_height().unwrap(), u64::from(height));
        }
    }
    let newest = chain.block(tip.hash).await.unwrap();
    assert_eq!(newest.txdata.len(), 2, "coinbase and payment");
    assert!(matches!(chain.hash_at(103).await, Err(ChainError::NotFound { .. })));
}

#[test]
fn a_payment_with_a_good_signature_is_taken_and_mined() {
    let chain = Simulated::in_memory();
    let owner = Owner::new(1);
    let tx = owner.spend(&owner.coin(&chain), 500);
    assert_eq!(chain.submit(&tx).unwrap(), tx.compute_txid());
    assert_eq!(chain.submit(&tx).unwrap(), tx.compute_txid(), "again while it waits");
    assert_eq!(chain.spender(tx.input[0].previous_output), Some(tx.clone()));
    chain.mine(1).unwrap();
    assert_eq!(chain.transaction(tx.compute_txid()), Some((tx.clone(), Some(103))));
    assert!(chain.mempool().is_empty());
    assert_eq!(chain.submit(&tx), Err(Refusal::Mined));
}

#[test]
fn a_tampered_signature_is_refused() {
    let chain = Simulated::in_memory();
    let owner = Owner::new(1);
    let coin = owner.coin(&chain);
    let mut tx = owner.spend(&coin, 500);
    tx.output[0].value -= Amount::ONE_SAT;
    let refusal = chain.submit(&tx).unwrap_err();
    assert!(matches!(refusal, Refusal::Script { input: 0, .. }), "{refusal}");
    let thief = Owner::new(2).spend(&coin, 500);
    assert!(matches!(chain.submit(&thief), Err(Refusal::Script { .. })));
}

#[test]
fn a_tampered_taproot_signature_is_refused() {
    let chain = Simulated::in_memory();
    let owner = Owner::new(1);
    let coin = Coin::waiting(&chain, owner.taproot_script());
    let mut tx = unsigned(&coin, &owner.script(), 500);
    let spent = TxOut { value: coin.value, script_pubkey: owner.taproot_script() };
    let hash = SighashCache::new(&tx)
        .taproot_key_spend_signature_hash(0, &Prevouts::All(&[spent]), TapSighashType::Default)
        .unwrap();
    let secp = Secp256k1::new();
    let key: TweakedKeypair = owner.key.tap_tweak(&secp, None);
    let message = Message::from_digest(hash.to_byte_array());
    let signature = secp.sign_schnorr(&message, &key.to_keypair());
    let mut bytes = signature.serialize();
    tx.input[0].witness = Witness::from_slice(&[bytes]);
    let good = tx.clone();
    bytes[40] ^= 1;
    tx.input[0].witness = Witness::from_slice(&[bytes]);
    assert!(matches!(chain.submit(&tx), Err(Refusal::Script { .. })));
    chain.submit(&good).unwrap();
}

#[test]
fn no_output_is_spent_twice_and_no_money_is_made() {
    let chain = Simulated::in_memory();
    let owner = Owner::new(1);
    let coin = owner.coin(&chain);
    chain.submit(&owner.spend(&coin, 500)).unwrap();
    chain.mine(1).unwrap();
    let again = chain.submit(&owner.spend(&coin, 5000));
    assert_eq!(again, Err(Refusal::MissingOrSpent { outpoint: coin.outpoint }));

    let coin = owner.coin(&chain);
    let mut richer = unsigned(&coin, &owner.script(), 0);
    richer.output[0].value += Amount::ONE_SAT;
    assert_eq!(chain.submit(&owner.sign(richer, &[&coin])), Err(Refusal::CreatesMoney));
    let mut twice = unsigned(&coin, &owner.script(), 0);
    twice.input.push(twice.input[0].clone());
    assert_eq!(chain.submit(&twice), Err(Refusal::DuplicateInput));
    let mut giant = unsigned(&coin, &owner.script(), 500);
    giant.output.push(TxOut { value: Amount::from_sat(u64::MAX), ..giant.output[0].clone() });
    assert_eq!(chain.submit(&giant), Err(Refusal::CreatesMoney));
}

#[tokio::test]
async fn a_coinbase_ripens_for_a_hundred_blocks() {
    let chain = Simulated::in_memory();
    let owner = Owner::new(1);
    let hash = chain.mine_to(1, &owner.script()).unwrap()[0];
    let coin = Coin::of(&chain.block(hash).await.unwrap().txdata[0]);
    let tx = owner.spend(&coin, 500);
    chain.mine(98).unwrap();
    assert_eq!(chain.submit(&tx), Err(Refusal::Immature));
    chain.mine(1).unwrap();
    chain.submit(&tx).unwrap();
}

#[test]
fn lock_times_hold() {
    let chain = Simulated::in_memory();
    let owner = Owner::new(1);
    let coin = owner.coin(&chain);
    let mut tx = unsigned(&coin, &owner.script(), 500);
    tx.lock_time = LockTime::from_height(chain.best().height + 1).unwrap();
    let tx = owner.sign(tx, &[&coin]);
    assert_eq!(chain.submit(&tx), Err(Refusal::NotFinal));
    chain.mine(1).unwrap();
    chain.submit(&tx).unwrap();

    let mut later = unsigned(&coin, &owner.script(), 900);
    later.lock_time = LockTime::from_time(4_000_000_000).unwrap();
    assert_eq!(chain.submit(&owner.sign(later, &[&coin])), Err(Refusal::NotFinal));
}

#[test]
fn relative_locks_hold() {
    let chain = Simulated::in_memory();
    let owner = Owner::new(1);
    let coin = owner.coin(&chain);
    let locked = |sequence| {
        let mut tx = unsigned(&coin, &owner.script(), 500);
        tx.input[0].sequence = sequence;
        owner.sign(tx, &[&coin])
    };
    let four_blocks = locked(Sequence::from_height(4));
    chain.mine(2).unwrap();
    assert_eq!(chain.submit(&four_blocks), Err(Refusal::RelativeLock));
    let long = locked(Sequence::from_512_second_intervals(1000));
    assert_eq!(chain.submit(&long), Err(Refusal::RelativeLock));
    chain.mine(1).unwrap();
    chain.submit(&four_blocks).unwrap();
}

#[test]
fn a_fee_below_the_minimum_is_refused_unless_a_child_pays() {
    let chain = Simulated::in_memory();
    let owner = Owner::new(1);
    let parent = owner.spend(&owner.coin(&chain), 10);
    let refusal = chain.submit(&parent).unwrap_err();
    assert!(matches!(refusal, Refusal::FeeTooLow { fee: 10, .. }), "{refusal}");
    let child = |fee| owner.spend(&Coin::of(&parent), fee);
    let poor = [parent.clone(), child(20)];
    assert!(matches!(chain.submit_package(&poor), Err((_, Refusal::FeeTooLow { fee: 30, .. }))));
    assert!(chain.mempool().is_empty(), "all or none");
    let package = [parent.clone(), child(1000)];
    chain.submit_package(&package).unwrap();
    assert_eq!(chain.mempool(), package);
    chain.mine(1).unwrap();
    assert_eq!(chain.transaction(parent.compute_txid()).unwrap().1, Some(103));
}

#[test]
fn a_higher_fee_replaces_a_transaction_and_its_children() {
    let chain = Simulated::in_memory();
    let owner = Owner::new(1);
    let coin = owner.coin(&chain);
    let first = owner.spend(&coin, 500);
    let child = owner.spend(&Coin::of(&first), 500);
    chain.submit(&first).unwrap();
    chain.submit(&child).unwrap();
    let cheap = chain.submit(&owner.spend(&coin, 1000)).unwrap_err();
    assert!(matches!(cheap, Refusal::ReplacementFee { fee: 1000, .. }), "{cheap}");
    let dear = owner.spend(&coin, 2000);
    chain.submit(&dear).unwrap();
    assert_eq!(chain.mempool(), std::slice::from_ref(&dear));
    assert!(matches!(chain.submit(&child), Err(Refusal::MissingOrSpent { .. })));

    let mut both = unsigned(&coin, &owner.script(), 90_000);
    both.input.push(unsigned(&Coin::of(&dear), &owner.script(), 0).input[0].clone());
    assert_eq!(chain.submit(&both), Err(Refusal::SpendsReplaced));
}

#[tokio::test]
async fn broadcasting_takes_packages_and_what_is_known() {
    let chain = Simulated::in_memory();
    let owner = Owner::new(1);
    let parent = owner.spend(&owner.coin(&chain), 10);
    let child = owner.spend(&Coin::of(&parent), 1000);
    let refused = chain.broadcast(std::slice::from_ref(&parent)).await.unwrap_err();
    assert!(matches!(refused, ChainError::Refused { txid, .. } if txid == parent.compute_txid()));
    let package = [parent, child];
    chain.broadcast(&package).await.unwrap();
    chain.broadcast(&package).await.unwrap();
    chain.mine(1).unwrap();
    chain.broadcast(&package).await.unwrap();
}

#[tokio::test]
async fn a_waiting_transaction_is_mined_when_asked_for() {
    let chain = Simulated::in_memory();
    let miner = chain.clone();
    let task = tokio::spawn(async move {
        miner.mine_when_needed(std::time::Duration::from_millis(1), 6).await
    });
    let txid = chain.pay(&[(Owner::new(1).script(), COIN)]).unwrap();
    chain.waiting().wait_for(|waiting| *waiting == 0).await.unwrap();
    assert_eq!(chain.transaction(txid).unwrap().1, Some(102));
    assert_eq!(chain.best().height, 107);
    task.abort();
}
