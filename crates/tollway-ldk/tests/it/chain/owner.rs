//! Somebody with one key, and the coins of it.

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::key::Keypair;
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, CompressedPublicKey, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid,
    Witness,
};
use l402::Sat;
use tollway_ldk::chain::Simulated;

pub(super) const COIN: Sat = Sat::from_sat(1_000_000);

/// Somebody with one key, who spends coins of it.
pub(super) struct Owner {
    pub(super) key: Keypair,
}

impl Owner {
    pub(super) fn new(seed: u8) -> Self {
        let key = SecretKey::from_slice(&[seed; 32]).unwrap();
        Self { key: Keypair::from_secret_key(&Secp256k1::new(), &key) }
    }

    pub(super) fn script(&self) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&CompressedPublicKey(self.key.public_key()).wpubkey_hash())
    }

    pub(super) fn taproot_script(&self) -> ScriptBuf {
        let key = self.key.x_only_public_key().0;
        ScriptBuf::new_p2tr(&Secp256k1::new(), key, None)
    }

    /// A coin of the faucet's, in a block.
    pub(super) fn coin(&self, chain: &Simulated) -> Coin {
        let coin = Coin::waiting(chain, self.script());
        chain.mine(1).unwrap();
        coin
    }

    /// Signs every input as one that spends a coin of this owner.
    pub(super) fn sign(&self, mut tx: Transaction, coins: &[&Coin]) -> Transaction {
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
    pub(super) fn spend(&self, coin: &Coin, fee: u64) -> Transaction {
        self.sign(unsigned(coin, &self.script(), fee), &[coin])
    }
}

#[derive(Clone, Debug)]
pub(super) struct Coin {
    pub(super) outpoint: OutPoint,
    pub(super) value: Amount,
}

impl Coin {
    pub(super) fn waiting(chain: &Simulated, script: ScriptBuf) -> Self {
        let txid = chain.pay(&[(script, COIN)]).unwrap();
        Self { outpoint: OutPoint::new(txid, 0), value: Amount::from_sat(COIN.sat()) }
    }

    pub(super) fn of(tx: &Transaction) -> Self {
        Self { outpoint: OutPoint::new(tx.compute_txid(), 0), value: tx.output[0].value }
    }
}

pub(super) fn unsigned(coin: &Coin, to: &ScriptBuf, fee: u64) -> Transaction {
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

pub(super) fn txids(chain: &Simulated) -> Vec<Txid> {
    chain.mempool().iter().map(Transaction::compute_txid).collect()
}
