//! Real BOLT 11 invoices: signed, with a payment secret, readable by any Lightning software.

use std::time::{Duration, SystemTime};

use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use l402::{Invoice, Msat, Network, PaymentHash};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};

/// Thirty-two bytes that nobody else has.
pub(crate) fn random32() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}

/// A node's signing key.
pub(crate) fn random_key() -> SecretKey {
    loop {
        // All but about one in 2^128 of the 32-byte strings are keys.
        if let Ok(key) = SecretKey::from_slice(&random32()) {
            return key;
        }
    }
}

/// What an invoice is to say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) network: Network,
    pub(crate) hash: PaymentHash,
    pub(crate) amount: Msat,
    /// At most 639 bytes.
    pub(crate) memo: &'a str,
    pub(crate) created: SystemTime,
    /// Whole seconds.
    pub(crate) expiry: Duration,
}

/// Writes and signs one invoice.
pub(crate) fn invoice(key: &SecretKey, terms: Terms<'_>) -> Invoice {
    let currency = match terms.network {
        Network::Mainnet => Currency::Bitcoin,
        Network::Testnet => Currency::BitcoinTestnet,
        Network::Signet => Currency::Signet,
        Network::Regtest => Currency::Regtest,
    };
    let created = terms
        .created
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("tests run after the beginning of 1970");
    let signed = InvoiceBuilder::new(currency)
        .amount_milli_satoshis(terms.amount.msat())
        .description(terms.memo.to_owned())
        .payment_hash(sha256::Hash::from_byte_array(terms.hash.0))
        .payment_secret(PaymentSecret(random32()))
        .duration_since_epoch(Duration::from_secs(created.as_secs()))
        .min_final_cltv_expiry_delta(24)
        .expiry_time(terms.expiry)
        .basic_mpp()
        .build_signed(|message| Secp256k1::signing_only().sign_ecdsa_recoverable(message, key))
        .expect("the caller checked amount and memo");
    Invoice::parse(&signed.to_string()).expect("what was just signed can be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invoice_says_what_it_was_told_to() {
        let terms = Terms {
            network: Network::Signet,
            hash: PaymentHash([7; 32]),
            amount: Msat::from_msat(21_001),
            memo: "weather ☂",
            created: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            expiry: Duration::from_secs(77),
        };
        let invoice = invoice(&random_key(), terms);
        assert_eq!(invoice.network(), terms.network);
        assert_eq!(invoice.payment_hash(), terms.hash);
        assert_eq!(invoice.amount(), terms.amount);
        assert_eq!(invoice.description().as_deref(), Some(terms.memo));
        assert_eq!(invoice.created_at(), terms.created);
        assert_eq!(invoice.expiry(), terms.expiry);
    }
}
