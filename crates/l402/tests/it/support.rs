//! Keys, invoices and headers for the tests beside this file.

use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue};
use l402::{Facts, Keyring, MasterKey, PaymentHash, Preimage};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret, RawBolt11Invoice, SiPrefix};
use serde_json::Value;

/// The preimage of most payments in these tests.
pub(crate) const PREIMAGE: Preimage = Preimage::new([0x42; 32]);

/// When these tests happen.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// Reads a JSON file, or `None` when it is not there.
pub(crate) fn json(path: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).expect("the file is JSON"))
}

/// The bytes that hexadecimal text stands for.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    hex::FromHex::from_hex(text).unwrap_or_else(|why| panic!("{text} is no hex: {why}"))
}

/// Text of a JSON value that must be text.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// The items of a JSON value that must be a list with something in it.
pub(crate) fn list(value: &Value) -> &[Value] {
    let items = value.as_array().unwrap_or_else(|| panic!("{value} is no list"));
    assert!(!items.is_empty(), "an empty list proves nothing");
    items
}

/// Headers from names and values, in order.
pub(crate) fn headers<'a>(lines: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().expect("a header name");
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
    }
    map
}

/// A response's headers with these `WWW-Authenticate` lines.
pub(crate) fn asks<'a>(lines: impl IntoIterator<Item = &'a str>) -> HeaderMap {
    headers(lines.into_iter().map(|line| (WWW_AUTHENTICATE.as_str(), line)))
}

/// A request's headers with this `Authorization` line.
pub(crate) fn bears(line: &str) -> HeaderMap {
    headers([(AUTHORIZATION.as_str(), line)])
}

/// The seller in these tests.
pub(crate) fn keyring() -> Keyring {
    Keyring::new(MasterKey::new([7; 32]), vec![])
}

/// A plain request to the service `echo`.
pub(crate) fn facts() -> Facts<'static> {
    Facts {
        service: "echo",
        capability: None,
        method: "GET",
        path: "/",
        client_ip: None,
        now: now(),
    }
}

/// What an invoice says; `None` for the amount leaves it to the payer.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(crate) currency: Currency,
    pub(crate) hash: PaymentHash,
    pub(crate) msat: Option<u64>,
    pub(crate) created: SystemTime,
    pub(crate) expiry: Duration,
}

impl Terms {
    /// For `msat` on regtest, payable from now on for an hour.
    pub(crate) fn new(msat: u64) -> Self {
        Self {
            currency: Currency::Regtest,
            hash: PREIMAGE.hash(),
            msat: Some(msat),
            created: now(),
            expiry: Duration::from_secs(3600),
        }
    }

    /// The signed BOLT 11 text.
    pub(crate) fn sign(&self) -> String {
        signed(self.raw())
    }

    /// The signed BOLT 11 text, with the amount written as `digits` and `prefix`, as only somebody
    /// who wants to be misread writes it.
    pub(crate) fn sign_with_amount(&self, digits: u64, prefix: Option<SiPrefix>) -> String {
        let mut raw = self.raw();
        raw.hrp.raw_amount = Some(digits);
        raw.hrp.si_prefix = prefix;
        signed(raw)
    }

    fn raw(&self) -> RawBolt11Invoice {
        let created = self.created.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let builder = InvoiceBuilder::new(self.currency.clone())
            .description("test".to_owned())
            .payment_hash(sha256::Hash::from_byte_array(self.hash.0))
            .payment_secret(PaymentSecret([9; 32]))
            .duration_since_epoch(created)
            .min_final_cltv_expiry_delta(24)
            .expiry_time(self.expiry)
            .basic_mpp();
        let builder = match self.msat {
            Some(msat) => builder.amount_milli_satoshis(msat),
            None => builder,
        };
        builder.build_raw().expect("a whole invoice")
    }
}

fn signed(raw: RawBolt11Invoice) -> String {
    let key = SecretKey::from_slice(&[3; 32]).expect("a key");
    let sign = |hash: &_| {
        Ok::<_, Infallible>(Secp256k1::signing_only().sign_ecdsa_recoverable(hash, &key))
    };
    raw.sign(sign).expect("signing cannot fail").to_string()
}
