//! The terms on which one service is sold: what it costs, what is free, what a token for it says and
//! how bad credentials are met. It knows nothing of sockets or upstreams, so the proxy and the tower
//! layer share it.

use std::time::{Duration, SystemTime};

use l402::Msat;
use l402::caveat::Unknown;

use crate::matching::PathMatch;
use crate::memo::{self, BadMemo, Memo};

/// How long an invoice can be paid unless the tariff says otherwise.
const INVOICE_EXPIRY: Duration = Duration::from_secs(600);

/// What one service costs and what opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tariff {
    pub(crate) name: String,
    pub(crate) access: Access,
    pub(crate) free: Vec<PathMatch>,
    pub(crate) no_invoice: Vec<PathMatch>,
    pub(crate) valid_for: Option<Duration>,
    pub(crate) unknown: Unknown,
    pub(crate) strict_settlement: bool,
    pub(crate) bad_credential: BadCredential,
    pub(crate) memo: Memo,
    pub(crate) invoice_expiry: Duration,
}

/// Whether a service asks for money at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody may pass; credentials are not looked at.
    Off,
    /// It costs that much. Nothing is a price, too.
    Priced(Msat),
}

/// What holds for one request, as far as its path decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// It costs nothing.
    pub(crate) free: bool,
    /// It is not asked to pay, only refused.
    pub(crate) no_invoice: bool,
}

/// What a credential that opens nothing is answered with. The L402 texts disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BadCredential {
    /// 402 with a fresh challenge, as if none had come. Deployed clients buy again only on this.
    #[default]
    Challenge,
    /// 401, and no invoice is made.
    Refuse,
}

/// Why something cannot be part of a tariff.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TariffError {
    /// The name goes into caveats, where `:`, `,` and `=` have a meaning.
    #[error("a service's name is 1 to 64 letters, digits, `-`, `_` or `.`")]
    Name,
    /// A path nobody can mean.
    #[error("{0}; a path is written `/health`, or `/docs/*` for all below `/docs/`")]
    Path(String),
    /// Tokens and invoices count in whole seconds, and a token outlives its invoice.
    #[error("it must be at least {0}")]
    TooShort(&'static str),
    /// Longer than an invoice has room for.
    #[error("a memo has at most {} bytes", memo::LONGEST)]
    Memo,
    /// Something else stands in braces.
    #[error(
        "in braces a memo has `{{service}}`, `{{method}}`, `{{path}}`, `{{host}}` or `{{price}}`"
    )]
    MemoName,
    /// Whoever paid at the last moment would have bought nothing.
    #[error(
        "tokens would expire before the invoice that pays for them; make the invoice expire first"
    )]
    Order,
    /// More than all bitcoin.
    #[error("it is more than all bitcoin")]
    Price,
}

impl Tariff {
    /// A service that costs `price` a token. A price of nothing lets everybody pass.
    ///
    /// # Errors
    /// [`TariffError::Name`], [`TariffError::Price`].
    pub fn new(name: &str, price: Msat) -> Result<Self, TariffError> {
        if price > Msat::SUPPLY {
            return Err(TariffError::Price);
        }
        Self::with_access(name, Access::Priced(price))
    }

    /// A service that everybody may use.
    ///
    /// # Errors
    /// [`TariffError::Name`].
    pub fn off(name: &str) -> Result<Self, TariffError> {
        Self::with_access(name, Access::Off)
    }

    fn with_access(name: &str, access: Access) -> Result<Self, TariffError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            return Err(TariffError::Name);
        }
        Ok(Self {
            name: name.to_owned(),
            access,
            free: Vec::new(),
            no_invoice: Vec::new(),
            valid_for: None,
            unknown: Unknown::Skip,
            strict_settlement: false,
            bad_credential: BadCredential::default(),
            memo: Memo::read("{service}").expect("a name it knows"),
            invoice_expiry: INVOICE_EXPIRY,
        })
    }

    /// Makes a path free: `/health` is that path and no other, `/docs/*` is all below `/docs/`, and
    /// `regex:/v[0-9]+/docs` is whatever the whole expression covers.
    ///
    /// # Errors
    /// [`TariffError::Path`].
    pub fn free(mut self, written: &str) -> Result<Self, TariffError> {
        self.free.push(PathMatch::read_listed(written).map_err(TariffError::Path)?);
        Ok(self)
    }

    /// Names a path where nobody is asked to pay: who comes without a credential is refused (401).
    /// Written as for [`Tariff::free`].
    ///
    /// # Errors
    /// [`TariffError::Path`].
    pub fn no_invoice(mut self, written: &str) -> Result<Self, TariffError> {
        self.no_invoice.push(PathMatch::read_listed(written).map_err(TariffError::Path)?);
        Ok(self)
    }

    /// Lets tokens expire that long after they were minted (whole seconds). If the invoice would
    /// outlive the token, its expiry becomes half of it.
    ///
    /// # Errors
    /// [`TariffError::TooShort`].
    pub fn valid_for(mut self, time: Duration) -> Result<Self, TariffError> {
        if time.as_secs() < 2 {
            return Err(TariffError::TooShort("two seconds"));
        }
        self.valid_for = Some(time);
        self.invoice_expiry = self.invoice_expiry.min(time / 2);
        Ok(self)
    }

    /// How long an invoice can be paid; ten minutes unless told. Call it after
    /// [`Tariff::valid_for`].
    ///
    /// # Errors
    /// [`TariffError::TooShort`], [`TariffError::Order`].
    pub fn invoice_expiry(mut self, time: Duration) -> Result<Self, TariffError> {
        if time.as_secs() == 0 {
            return Err(TariffError::TooShort("one second"));
        }
        if self.valid_for.is_some_and(|valid_for| valid_for <= time) {
            return Err(TariffError::Order);
        }
        self.invoice_expiry = time;
        Ok(self)
    }

    /// What the invoice says it is for; the service's name unless told. `{service}`, `{method}`,
    /// `{path}`, `{host}` and `{price}` stand for the request's own.
    ///
    /// # Errors
    /// [`TariffError::Memo`], [`TariffError::MemoName`].
    pub fn memo(mut self, memo: &str) -> Result<Self, TariffError> {
        self.memo = Memo::read(memo).map_err(|why| match why {
            BadMemo::TooLong => TariffError::Memo,
            BadMemo::Name => TariffError::MemoName,
        })?;
        Ok(self)
    }

    /// Refuses tokens with caveats that are not known here. The L402 text says to skip them.
    #[must_use]
    pub fn strict_caveats(mut self) -> Self {
        self.unknown = Unknown::Refuse;
        self
    }

    /// Asks the node, too, whether a token is paid for, once for each payment. Without it the
    /// preimage is proof enough, as it is everywhere on Lightning.
    #[must_use]
    pub fn strict_settlement(mut self) -> Self {
        self.strict_settlement = true;
        self
    }

    /// What a credential that opens nothing is answered with.
    #[must_use]
    pub fn bad_credential(mut self, answer: BadCredential) -> Self {
        self.bad_credential = answer;
        self
    }

    /// The service's name, as tokens have it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a token costs. `None` when the service does not ask.
    pub fn price(&self) -> Option<Msat> {
        match self.access {
            Access::Off => None,
            Access::Priced(price) => Some(price),
        }
    }

    /// What holds for one path, in one of its readings.
    pub(crate) fn terms(&self, path: &str) -> Terms {
        let any = |list: &[PathMatch]| list.iter().any(|listed| listed.covers(path));
        Terms { free: any(&self.free), no_invoice: any(&self.no_invoice) }
    }

    /// The caveats of a token minted at `now`.
    pub(crate) fn caveats(&self, now: SystemTime) -> Vec<String> {
        let mut caveats = vec![format!("services={}:0", self.name)];
        if let Some(time) = self.valid_for {
            let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let end = now.saturating_add(time).as_secs();
            caveats.push(format!("{}_valid_until={end}", self.name));
        }
        caveats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tariff() -> Tariff {
        Tariff::new("weather", "10 sat".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_free_path_is_exact_unless_it_says_below() {
        let tariff = tariff().free("/health").unwrap().free("/docs/*").unwrap();
        for free in ["/health", "/docs/", "/docs/a/b"] {
            assert!(tariff.terms(free).free, "{free}");
        }
        for paid in ["/health/", "/healthy", "/HEALTH", "/docs", "/docsx", "/"] {
            assert!(!tariff.terms(paid).free, "{paid}");
        }
        for bad in ["health", "/a*", "/a/../b", "*", "/a/*/b", "/a?b", ""] {
            assert!(tariff.clone().free(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_cannot_be_more_than_one_service() {
        for bad in ["", "a:0,b", "a,b", "a=b", "a b", "a/b", "é", &"a".repeat(65)] {
            assert_eq!(Tariff::off(bad), Err(TariffError::Name), "{bad}");
        }
    }

    #[test]
    fn a_token_outlives_the_invoice_that_pays_for_it() {
        let minute = Duration::from_secs(60);
        let tariff = tariff().valid_for(minute).unwrap();
        assert_eq!(tariff.invoice_expiry, minute / 2);
        assert_eq!(tariff.clone().invoice_expiry(minute), Err(TariffError::Order));
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        assert_eq!(tariff.caveats(at), ["services=weather:0", "weather_valid_until=1060"]);
    }
}
