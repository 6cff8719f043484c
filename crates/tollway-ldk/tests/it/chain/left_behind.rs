//! Blocks that are left behind, and what a chain keeps in its file.

use l402::Sat;
use tollway_ldk::chain::{Blocks, ChainSource, FaucetError, ReorgError, Simulated};

use super::owner::{COIN, Coin, Owner, txids};

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
