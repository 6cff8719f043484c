//! BOLT 11 invoices, parsed once. What cannot be paid safely cannot be built: an invoice without
//! an amount, with a bad signature, or for a network we do not know. The amount is the one that the
//! signed data says, never one read from the text's prefix.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescriptionRef, Currency};
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
#[derive(Clone, PartialEq, Eq)]
pub struct Invoice {
    text: String,
    parsed: Bolt11Invoice,
    amount: Msat,
    network: Network,
}

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
        let parsed: Bolt11Invoice =
            text.parse().map_err(|e: lightning_invoice::ParseOrSemanticError| {
                InvoiceError::Unreadable(e.to_string())
            })?;
        let msat = parsed.amount_milli_satoshis().ok_or(InvoiceError::NoAmount)?;
        let amount = Msat::from_msat(msat);
        if amount == Msat::ZERO || amount > Msat::SUPPLY {
            return Err(InvoiceError::BadAmount(amount));
        }
        let network = match parsed.currency() {
            Currency::Bitcoin => Network::Mainnet,
            Currency::BitcoinTestnet => Network::Testnet,
            Currency::Signet => Network::Signet,
            Currency::Regtest => Network::Regtest,
            Currency::Simnet => return Err(InvoiceError::UnknownNetwork),
        };
        Ok(Self { text: text.to_owned(), parsed, amount, network })
    }

    /// The text, as it came.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parsed form, for drivers that speak the `lightning` crates' types.
    pub const fn bolt11(&self) -> &Bolt11Invoice {
        &self.parsed
    }

    /// The hash it is locked to.
    pub fn payment_hash(&self) -> PaymentHash {
        PaymentHash(*self.parsed.payment_hash().as_ref())
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
        NodeId(self.parsed.get_payee_pub_key().serialize())
    }

    /// What the seller says it is for. Hostile text: escape it before a terminal sees it.
    pub fn description(&self) -> Option<String> {
        match self.parsed.description() {
            Bolt11InvoiceDescriptionRef::Direct(text) => Some(text.to_string()),
            Bolt11InvoiceDescriptionRef::Hash(_) => None,
        }
    }

    /// When it was made.
    pub fn created_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.parsed.duration_since_epoch()
    }

    /// How long after that it can be paid (BOLT 11 field `x`, one hour when absent).
    pub fn expiry(&self) -> Duration {
        self.parsed.expiry_time()
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
