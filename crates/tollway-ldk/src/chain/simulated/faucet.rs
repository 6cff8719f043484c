//! Money for the asking: the miner's key, and transactions that pay from its coins. The key is the
//! same on every simulated chain and no secret, as nothing on one is worth anything.

use std::cmp::Reverse;

use bitcoin::absolute::LockTime;
use bitcoin::constants::COINBASE_MATURITY;
use bitcoin::ecdsa::Signature;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{All, Keypair, Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, CompressedPublicKey, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness,
};
use l402::Sat;

use super::ledger::Ledger;
use super::rules::Refusal;

/// Twice the relay minimum.
const SAT_PER_VB: u64 = 2;
/// Virtual bytes of a signed input that spends a P2WPKH output, rounded up.
const INPUT_VSIZE: usize = 68;
/// Below this no change is made, in satoshi.
const DUST: Amount = Amount::from_sat(294);

/// The miner's key.
#[derive(Debug)]
pub(super) struct Faucet {
    secp: Secp256k1<All>,
    key: Keypair,
    script: ScriptBuf,
}

/// The faucet did not pay.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaucetError {
    /// The mined coins that are ripe are spent.
    #[error("the faucet has {available} and cannot pay {wanted} with fees; mine more blocks")]
    Empty {
        /// With fees.
        wanted: Sat,
        /// What is ripe.
        available: Sat,
    },
    /// The sum is beyond all bitcoin, or one of the outputs is not one the chain takes.
    #[error("the faucet's payment was refused")]
    Refused(#[from] Refusal),
}

impl Faucet {
    pub(super) fn new() -> Self {
        let secp = Secp256k1::new();
        let key = SecretKey::from_slice(&[0x42; 32]).expect("in the range of the curve");
        let key = Keypair::from_secret_key(&secp, &key);
        let script = ScriptBuf::new_p2wpkh(&CompressedPublicKey(key.public_key()).wpubkey_hash());
        Self { secp, key, script }
    }

    /// Where mined coins go.
    pub(super) fn script(&self) -> &ScriptBuf {
        &self.script
    }

    /// A signed transaction that makes these outputs.
    pub(super) fn pay(
        &self,
        ledger: &Ledger,
        outputs: Vec<TxOut>,
    ) -> Result<Transaction, FaucetError> {
        let mut tx = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: Vec::new(),
            output: outputs,
        };
        let paid = tx.output.iter().try_fold(Amount::ZERO, |sum, out| sum.checked_add(out.value));
        let paid = paid.filter(|paid| *paid <= Amount::MAX_MONEY).ok_or(Refusal::CreatesMoney)?;
        tx.output.push(TxOut { value: Amount::ZERO, script_pubkey: self.script.clone() });
        let mut fee = Amount::from_sat(SAT_PER_VB * tx.vsize() as u64);
        let (mut taken, mut values) = (Amount::ZERO, Vec::new());
        for (outpoint, value) in self.coins(ledger) {
            if taken >= paid + fee {
                break;
            }
            taken += value;
            fee += Amount::from_sat(SAT_PER_VB * INPUT_VSIZE as u64);
            values.push(value);
            tx.input.push(TxIn {
                previous_output: outpoint,
                sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
                ..TxIn::default()
            });
        }
        let change = taken.checked_sub(paid + fee).ok_or_else(|| FaucetError::Empty {
            wanted: Sat::from_sat((paid + fee).to_sat()),
            available: Sat::from_sat(taken.to_sat()),
        })?;
        match tx.output.last_mut() {
            Some(out) if change >= DUST => out.value = change,
            _ => drop(tx.output.pop()),
        }
        self.sign(&mut tx, &values);
        Ok(tx)
    }

    /// What can be spent, the largest first: mined coins before the change of earlier payments, so
    /// that payments do not hang on each other while there are enough.
    fn coins(&self, ledger: &Ledger) -> Vec<(OutPoint, Amount)> {
        let next = ledger.blocks.height() + 1;
        let ripe = ledger.coins.iter().filter(|(_, coin)| {
            coin.out.script_pubkey == self.script
                && (!coin.coinbase || next - coin.height >= COINBASE_MATURITY)
        });
        let mut coins: Vec<_> = ripe.map(|(outpoint, coin)| (*outpoint, coin.out.value)).collect();
        for (txid, waiting) in ledger.pool.iter() {
            for (vout, out) in (0..).zip(&waiting.tx.output) {
                if out.script_pubkey == self.script {
                    coins.push((OutPoint::new(*txid, vout), out.value));
                }
            }
        }
        coins.retain(|(outpoint, _)| ledger.pool.spender(outpoint).is_none());
        coins.sort_by_key(|(outpoint, value)| (Reverse(*value), *outpoint));
        coins
    }

    fn sign(&self, tx: &mut Transaction, values: &[Amount]) {
        let key = self.key.secret_key();
        for (index, value) in values.iter().enumerate() {
            let digest = SighashCache::new(&*tx)
                .p2wpkh_signature_hash(index, &self.script, *value, EcdsaSighashType::All)
                .expect("the input exists and the script is P2WPKH");
            let message = Message::from_digest(digest.to_byte_array());
            let signature = Signature::sighash_all(self.secp.sign_ecdsa(&message, &key));
            tx.input[index].witness = Witness::p2wpkh(&signature, &self.key.public_key());
        }
    }
}
