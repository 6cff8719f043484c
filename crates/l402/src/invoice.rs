//! BOLT 11 invoices, parsed once. What cannot be paid safely cannot be built: an invoice without
//! an amount, with a bad signature, or for a network we do not know. The amount is the one that the
//! signed data says, never one read from the text's prefix.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use lightning_invoice::{
    Bolt11Invoice, Bolt11InvoiceDescriptionRef, Bolt11ParseError, Currency, DEFAULT_EXPIRY_TIME,
    RawBolt11Invoice, SignedRawBolt11Invoice,
};
use serde::{Deserialize, Serialize};

use crate::hash::PaymentHash;
use crate::money::Msat;

/// The longest invoice text we read, in bytes. Real ones are below 2,000.
const LONGEST: usize = 8 * 1024;

/// Which bitcoin network an invoice or a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Real money (`lnbc`).
    Mainnet,
    /// Public test network (`lntb`).
    Testnet,
    /// Signed public test network (`lntbs`).
    Signet,
    /// A private network (`lnbcrt`).
    Regtest,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mainnet => "mainnet",
            Self::Testnet => "testnet",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        })
    }
}

/// The text names no network that we know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network; use mainnet, testnet, signet or regtest")]
pub struct UnknownNetwork(pub String);

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(text: &str) -> Result<Self, UnknownNetwork> {
        match text {
            "mainnet" | "bitcoin" => Ok(Self::Mainnet),
            "testnet" => Ok(Self::Testnet),
            "signet" => Ok(Self::Signet),
            "regtest" => Ok(Self::Regtest),
            _ => Err(UnknownNetwork(text.to_owned())),
        }
    }
}

/// A Lightning node's public key (33 bytes, compressed), the payee of an invoice.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(pub [u8; 33]);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&hex::DisplayHex::as_hex(&self.0), f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NodeId {
    type Err = NotANodeId;

    fn from_str(text: &str) -> Result<Self, NotANodeId> {
        hex::FromHex::from_hex(text).map(Self).map_err(|_| NotANodeId)
    }
}

/// The text is not a node's public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 66 hexadecimal digits")]
pub struct NotANodeId;

/// A BOLT 11 invoice that can be paid: signed, for a known network, with an amount above zero.
#[derive(Clone)]
pub struct Invoice {
    text: String,
    payment_hash: PaymentHash,
    amount: Msat,
    network: Network,
    created: Duration,
    expiry: Duration,
    /// There at once for an invoice that was read, later or never for one that was issued here.
    parsed: OnceLock<Bolt11Invoice>,
}

impl PartialEq for Invoice {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Invoice {}

/// Why a text is not an invoice we would pay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvoiceError {
    /// Longer than any real invoice.
    #[error("the invoice is {0} bytes long, more than any real one")]
    TooLong(usize),
    /// Not BOLT 11, or its checksum or signature is wrong.
    #[error("the invoice cannot be read: {0}")]
    Unreadable(String),
    /// It leaves the amount to the payer, so any limit would be meaningless.
    #[error("the invoice has no amount")]
    NoAmount,
    /// It asks for nothing, or for more than all bitcoin.
    #[error("the invoice asks for {0}, which is no amount to pay")]
    BadAmount(Msat),
    /// For a network we do not know.
    #[error("the invoice is for a network we do not know")]
    UnknownNetwork,
}

impl Invoice {
    /// Reads BOLT 11 text: checksum, signature, amount and network (BOLT 11).
    ///
    /// # Errors
    /// See [`InvoiceError`].
    pub fn parse(text: &str) -> Result<Self, InvoiceError> {
        if text.len() > LONGEST {
            return Err(InvoiceError::TooLong(text.len()));
        }
        let signed: SignedRawBolt11Invoice = text
            .parse()
            .map_err(|error: Bolt11ParseError| InvoiceError::Unreadable(error.to_string()))?;
        // The parser checks the signature over its own spelling of what it read. Where that is not the
        // spelling that was signed, the payee it finds is nobody.
        let is_spelled_so = signed.to_string().eq_ignore_ascii_case(text);
        // What it asks for is looked at once its signature is.
        let read = Self::from_raw(text.to_owned(), &signed);
        let parsed = Bolt11Invoice::from_signed(signed)
            .map_err(|error| InvoiceError::Unreadable(error.to_string()))?;
        if !is_spelled_so {
            return Err(InvoiceError::Unreadable("a field is not in its shortest form".to_owned()));
        }
        Ok(Self { parsed: parsed.into(), ..read? })
    }

    /// An invoice that this node has just signed. Its signature is not checked again: that would
    /// cost as much as making it.
    ///
    /// # Errors
    /// As [`Invoice::parse`], the signature apart.
    pub fn issued(signed: &SignedRawBolt11Invoice) -> Result<Self, InvoiceError> {
        Self::from_raw(signed.to_string(), signed)
    }

    fn from_raw(text: String, raw: &RawBolt11Invoice) -> Result<Self, InvoiceError> {
        // The text counts in tenths of a millisatoshi, and a payment cannot.
        let pico = raw.amount_pico_btc().ok_or(InvoiceError::NoAmount)?;
        let amount = Msat::from_msat(pico / 10);
        if amount == Msat::ZERO || amount > Msat::SUPPLY {
            return Err(InvoiceError::BadAmount(amount));
        }
        let network = match raw.currency() {
            Currency::Bitcoin => Network::Mainnet,
            Currency::BitcoinTestnet => Network::Testnet,
            Currency::Signet => Network::Signet,
            Currency::Regtest => Network::Regtest,
            Currency::Simnet => return Err(InvoiceError::UnknownNetwork),
        };
        let no_hash = || InvoiceError::Unreadable("it has no payment hash".to_owned());
        let hash = raw.payment_hash().ok_or_else(no_hash)?;
        let expiry = raw.expiry_time().map(|expiry| *expiry.as_duration());
        Ok(Self {
            text,
            payment_hash: PaymentHash(*hash.0.as_ref()),
            amount,
            network,
            created: raw.data.timestamp.as_duration_since_epoch(),
            expiry: expiry.unwrap_or(Duration::from_secs(DEFAULT_EXPIRY_TIME)),
            parsed: OnceLock::new(),
        })
    }

    /// The text, as it came.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parsed form, for drivers that speak the `lightning` crates' types.
    pub fn bolt11(&self) -> &Bolt11Invoice {
        self.parsed.get_or_init(|| self.text.parse().expect("who issued it has signed it"))
    }

    /// The hash it is locked to.
    pub const fn payment_hash(&self) -> PaymentHash {
        self.payment_hash
    }

    /// What it asks for, in millisatoshi.
    pub const fn amount(&self) -> Msat {
        self.amount
    }

    /// The network it can be paid on.
    pub const fn network(&self) -> Network {
        self.network
    }

    /// Who is paid.
    pub fn payee(&self) -> NodeId {
        NodeId(self.bolt11().get_payee_pub_key().serialize())
    }

    /// What the seller says it is for, with control characters replaced by U+FFFD. Hostile text all
    /// the same: escape it before a terminal sees it.
    pub fn description(&self) -> Option<String> {
        match self.bolt11().description() {
            Bolt11InvoiceDescriptionRef::Direct(text) => Some(text.to_string()),
            Bolt11InvoiceDescriptionRef::Hash(_) => None,
        }
    }

    /// When it was made.
    pub fn created_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.created
    }

    /// How long after that it can be paid (BOLT 11 field `x`, one hour when absent).
    pub const fn expiry(&self) -> Duration {
        self.expiry
    }

    /// From when on it can no longer be paid; `None` when that is beyond all clocks.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.created_at().checked_add(self.expiry())
    }

    /// Whether it can still be paid at `now`, with `margin` to spare for the payment itself.
    pub fn is_live(&self, now: SystemTime, margin: Duration) -> bool {
        let Some(end) = now.checked_add(margin) else { return false };
        self.expires_at().is_none_or(|expiry| end < expiry)
    }
}

impl fmt::Display for Invoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Invoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invoice({} for {})", self.payment_hash(), self.amount)
    }
}

impl FromStr for Invoice {
    type Err = InvoiceError;

    fn from_str(text: &str) -> Result<Self, InvoiceError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 sat on regtest, from the golden file of independent implementations.
    const REGTEST: &str = "lnbcrt100n1p45n5sqdq0gaz4ggp0wpskjeqpp5gf0dfe9rdvcw5gdepcsuwykxf85zznpfkl40dqyf6ypecmj48pxqsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9qrsgqcqzysxqzuyz6cda2jzcgvvy0jv46ah458xj63yvtawfudp9g52f7v7lcgjuyg3tyd787njcdpu74w3n80n3d5s4dy66ahcfr607trfk82vcdwrw7sq58au9j";

    #[test]
    fn an_invoice_is_what_its_signed_data_says() {
        let invoice = Invoice::parse(REGTEST).unwrap();
        assert_eq!(invoice.amount(), "10 sat".parse().unwrap());
        assert_eq!(invoice.network(), Network::Regtest);
        assert_eq!(
            invoice.payment_hash().to_string(),
            "425ed4e4a36b30ea21b90e21c712c649e8214c29b7eaf68089d1039c6e55384c"
        );
        let expiry = invoice.expires_at().unwrap();
        let second = Duration::from_secs(1);
        assert!(invoice.is_live(expiry - 2 * second, second));
        assert!(!invoice.is_live(expiry - second, second));
    }

    #[test]
    fn a_changed_character_is_refused() {
        let changed = REGTEST.replacen("100n", "200n", 1);
        assert!(matches!(Invoice::parse(&changed), Err(InvoiceError::Unreadable(_))));
        assert!(matches!(Invoice::parse(&"l".repeat(9000)), Err(InvoiceError::TooLong(9000))));
    }
}
