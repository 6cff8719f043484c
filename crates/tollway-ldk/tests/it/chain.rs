//! What the simulated chain takes, what it refuses, and what it still knows after a kill.

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::key::{Keypair, TapTweak, TweakedKeypair};
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, Prevouts, SighashCache, TapSighashType};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, CompressedPublicKey, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid,
    Witness,
};
use l402::Sat;
use tollway_ldk::chain::{
    Blocks, ChainError, ChainSource, FaucetError, Refusal, ReorgError, Simulated,
};

const COIN: Sat = Sat::from_sat(1_000_000);

/// Somebody with one key, who spends coins of it.
struct Owner {
    key: Keypair,
}

impl Owner {
    fn new(seed: u8) -> Self {
        let key = SecretKey::from_slice(&[seed; 32]).unwrap();
        Self { key: Keypair::from_secret_key(&Secp256k1::new(), &key) }
    }

    fn script(&self) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&CompressedPublicKey(self.key.public_key()).wpubkey_hash())
    }

    fn taproot_script(&self) -> ScriptBuf {
        let key = self.key.x_only_public_key().0;
        ScriptBuf::new_p2tr(&Secp256k1::new(), key, None)
    }

    /// A coin of the faucet's, in a block.
    fn coin(&self, chain: &Simulated) -> Coin {
        let coin = Coin::waiting(chain, self.script());
        chain.mine(1).unwrap();
        coin
    }

    /// Signs every input as one that spends a coin of this owner.
    fn sign(&self, mut tx: Transaction, coins: &[&Coin]) -> Transaction {
        for (index, coin) in coins.iter().enumerate() {
            let hash = SighashCache::new(&tx)
                .p2wpkh_signature_hash(index, &self.script(), coin.value, EcdsaSighashType::All)
                .unwrap();
            let message = Message::from_digest(hash.to_byte_array());
            let signature = Secp256k1::new().sign_ecdsa(&message, &self.key.secret_key());
            let signature = bitcoin::ecdsa::Signature::sighash_all(signature);
            tx.input[index].witness = Witness::p2wpkh(&signature, &self.key.public_key());
        }
        tx
    }

    /// Spends one coin to itself with this fee.
    fn spend(&self, coin: &Coin, fee: u64) -> Transaction {
        self.sign(unsigned(coin, &self.script(), fee), &[coin])
    }
}

#[derive(Clone, Debug)]
struct Coin {
    outpoint: OutPoint,
    value: Amount,
}

impl Coin {
    fn waiting(chain: &Simulated, script: ScriptBuf) -> Self {
        let txid = chain.pay(&[(script, COIN)]).unwrap();
        Self { outpoint: OutPoint::new(txid, 0), value: Amount::from_sat(COIN.sat()) }
    }

    fn of(tx: &Transaction) -> Self {
        Self { outpoint: OutPoint::new(tx.compute_txid(), 0), value: tx.output[0].value }
    }
}

fn unsigned(coin: &Coin, to: &ScriptBuf, fee: u64) -> Transaction {
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: coin.outpoint,
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            ..TxIn::default()
        }],
        output: vec![TxOut {
            value: coin.value - Amount::from_sat(fee),
            script_pubkey: to.clone(),
        }],
    }
}

fn txids(chain: &Simulated) -> Vec<Txid> {
    chain.mempool().iter().map(Transaction::compute_txid).collect()
}

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
async fn blocks_left_behind_stay_readable_and_their_transactions_wait_again() {
    let chain = Simulated::in_memory();
    let owner = Owner::new(1);
    let coin = owner.coin(&chain);
    let tx = owner.spend(&coin, 500);
    chain.submit(&tx).unwrap();
    let stale = chain.mine(3).unwrap();
    let child = owner.spend(&Coin::of(&tx), 500);
    chain.submit(&child).unwrap();
    let seen = chain.best();

    let new = chain.reorg(3, 4).unwrap();
    assert_eq!(chain.best().height, seen.height + 1);
    assert_eq!(chain.best().hash, *new.last().unwrap());
    assert_eq!(txids(&chain), [tx.compute_txid(), child.compute_txid()]);
    for (height, hash) in (103..).zip(&stale) {
        assert_eq!(chain.header(*hash).await.unwrap().1, height);
        assert_eq!(chain.block(*hash).await.unwrap().block_hash(), *hash);
        assert_ne!(chain.hash_at(height).await.unwrap(), *hash);
    }
    // Resolves at once, because the tip is another.
    chain.changed(seen.hash).await;
    chain.mine(1).unwrap();
    assert_eq!(chain.transaction(tx.compute_txid()).unwrap().1, Some(107));
}

#[test]
fn a_payment_from_a_block_left_behind_can_be_replaced() {
    let chain = Simulated::in_memory();
    let owner = Owner::new(1);
    let coin = owner.coin(&chain);
    let (first, second) = (owner.spend(&coin, 500), owner.spend(&coin, 5000));
    chain.submit(&first).unwrap();
    chain.mine(1).unwrap();
    chain.reorg(1, 2).unwrap();
    chain.submit(&second).unwrap();
    chain.mine(1).unwrap();
    assert_eq!(chain.transaction(first.compute_txid()), None);
    assert!(chain.transaction(second.compute_txid()).is_some());
}

#[test]
fn a_reorganisation_needs_more_work() {
    let chain = Simulated::in_memory();
    let before = chain.best();
    assert!(matches!(chain.reorg(2, 2), Err(ReorgError::NotLonger { depth: 2, new_blocks: 2 })));
    assert!(matches!(chain.reorg(200, 201), Err(ReorgError::TooDeep { height: 101, .. })));
    assert_eq!(chain.best(), before);
}

#[test]
fn the_faucet_pays_many_and_says_when_it_is_empty() {
    let chain = Simulated::in_memory();
    let owner = Owner::new(1);
    for _ in 0..3 {
        chain.pay(&[(owner.script(), COIN), (owner.script(), COIN)]).unwrap();
    }
    chain.mine(1).unwrap();
    assert_eq!(chain.best().height, 102);
    let all = Sat::from_sat(21_000_000 * 100_000_000);
    let empty = chain.pay(&[(owner.script(), all)]).unwrap_err();
    assert!(matches!(empty, FaucetError::Empty { .. }), "{empty}");
}

#[test]
fn a_chain_comes_back_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chain");
    let owner = Owner::new(1);
    let chain = Simulated::open(&file).unwrap();
    let coin = owner.coin(&chain);
    let mined = owner.spend(&coin, 500);
    chain.submit(&mined).unwrap();
    chain.mine(2).unwrap();
    let new = chain.reorg(2, 3).unwrap();
    chain.mine(1).unwrap();
    let waiting = owner.spend(&Coin::of(&mined), 500);
    chain.submit(&waiting).unwrap();
    let best = chain.best();
    drop(chain);

    let chain = Simulated::open(&file).unwrap();
    assert_eq!(chain.best(), best);
    assert_eq!(best.height, 106);
    assert_eq!(chain.mempool(), std::slice::from_ref(&waiting));
    assert_eq!(chain.transaction(mined.compute_txid()), Some((mined, Some(106))));
    chain.mine(1).unwrap();
    assert_eq!(chain.transaction(waiting.compute_txid()).unwrap().1, Some(107));
    assert_eq!(chain.reorg(4, 5).unwrap().len(), 5);
    assert_ne!(chain.best().hash, new[2]);
}

#[test]
fn a_torn_record_is_cut_off_wherever_it_tears() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chain");
    let chain = Simulated::open(&file).unwrap();
    let before = chain.best();
    let whole = std::fs::metadata(&file).unwrap().len();
    chain.mine(1).unwrap();
    drop(chain);
    let bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() as u64 - whole;
    for torn in (1..last).step_by(7) {
        let torn_file = folder.path().join(format!("torn-{torn}"));
        std::fs::write(&torn_file, &bytes[..(whole + torn) as usize]).unwrap();
        let chain = Simulated::open(&torn_file).unwrap();
        assert_eq!(chain.best(), before, "{torn} bytes of the last record");
        let next = chain.mine(1).unwrap()[0];
        drop(chain);
        assert_eq!(Simulated::open(&torn_file).unwrap().best().hash, next);
    }
}

#[test]
fn a_chain_file_is_refused_when_it_is_in_use_damaged_or_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chain");
    let chain = Simulated::open(&file).unwrap();
    let in_use = Simulated::open(&file).unwrap_err().to_string();
    assert!(in_use.contains("in use by another process"), "{in_use}");
    drop(chain);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let damaged = Simulated::open(&file).unwrap_err().to_string();
    assert!(damaged.contains("is damaged at byte"), "{damaged}");
    std::fs::write(&file, "my diary").unwrap();
    let other = Simulated::open(&file).unwrap_err().to_string();
    assert!(other.contains("is not a chain file"), "{other}");
    assert_eq!(std::fs::read(&file).unwrap(), b"my diary");
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
