//! The terms on which one service is sold: what it costs, what is free, what a token for it says and
//! how bad credentials are met. It knows nothing of sockets or upstreams, so the proxy and the tower
//! layer share it.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::{Duration, SystemTime};

use l402::Msat;
use l402::caveat::{CAVEATS, Unknown};

use crate::config::Freebie;
use crate::matching::PathMatch;
use crate::memo::{self, BadMemo, Memo};
use crate::payment::Schemes;
use crate::rule::{Price, Rule, Terms};

/// How long an invoice can be paid unless the tariff says otherwise.
const INVOICE_EXPIRY: Duration = Duration::from_secs(600);

/// What one service costs and what opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tariff {
    pub(crate) name: String,
    /// Whether it asks for money at all. If not, everybody may pass; credentials are not looked at.
    pub(crate) asks: bool,
    /// What costs no other price costs this.
    pub(crate) price: Price,
    pub(crate) rules: Vec<Rule>,
    pub(crate) freebie: Option<Freebie>,
    /// What every token is granted beside its rule.
    pub(crate) capabilities: Vec<String>,
    /// Further caveats of every token.
    pub(crate) constraints: Vec<(String, String)>,
    pub(crate) request_count: Option<NonZeroU64>,
    pub(crate) free: Vec<PathMatch>,
    pub(crate) no_invoice: Vec<PathMatch>,
    pub(crate) valid_for: Option<Duration>,
    pub(crate) unknown: Unknown,
    pub(crate) strict_settlement: bool,
    pub(crate) schemes: Schemes,
    pub(crate) bad_credential: BadCredential,
    pub(crate) memo: Memo,
    pub(crate) invoice_expiry: Duration,
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
    /// Not a method.
    #[error("{0}")]
    Method(&'static str),
    /// A caveat that nobody checks, or that the tariff writes itself.
    #[error(
        "that is not a caveat which a token can be given here; write for example `method`, \
         `path_prefix`, `client_ip` or `not_before`, and a value"
    )]
    Constraint,
    /// Two rules of one name.
    #[error("there is another rule of that name")]
    Twice,
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
        Self::priced(name, Price::Fixed(price))
    }

    /// A service that everybody may use.
    ///
    /// # Errors
    /// [`TariffError::Name`].
    pub fn off(name: &str) -> Result<Self, TariffError> {
        Ok(Self { asks: false, ..Self::priced(name, Price::Fixed(Msat::ZERO))? })
    }

    /// A service whose price somebody else says, who has to be named where the tariff is used. Each
    /// token is for one method and one path.
    ///
    /// # Errors
    /// [`TariffError::Name`].
    pub fn quoted(name: &str) -> Result<Self, TariffError> {
        Self::priced(name, Price::Quoted { by: 0, per_route: true })
    }

    pub(crate) fn priced(name: &str, price: Price) -> Result<Self, TariffError> {
        if !is_name(name) {
            return Err(TariffError::Name);
        }
        Ok(Self {
            name: name.to_owned(),
            asks: true,
            price,
            rules: Vec::new(),
            freebie: None,
            capabilities: Vec::new(),
            constraints: Vec::new(),
            request_count: None,
            free: Vec::new(),
            no_invoice: Vec::new(),
            valid_for: None,
            unknown: Unknown::Skip,
            strict_settlement: false,
            schemes: Schemes::default(),
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

    /// Lets the first `requests` of each neighbourhood (a /24 of IPv4, a /48 of IPv6) in each `window`
    /// pass for nothing. They are counted in the store, atomically.
    #[must_use]
    pub fn freebies(mut self, requests: NonZeroU32, window: Duration) -> Self {
        self.freebie = Some(Freebie { requests, window });
        self
    }

    /// Grants every token one more capability. A service behind this one, or a rule of that name, may
    /// ask for it.
    ///
    /// # Errors
    /// [`TariffError::Name`].
    pub fn capability_of_all(mut self, name: &str) -> Result<Self, TariffError> {
        if !is_name(name) {
            return Err(TariffError::Name);
        }
        self.capabilities.push(name.to_owned());
        Ok(self)
    }

    /// Puts a caveat into every token, for example `method` and `GET,HEAD`.
    ///
    /// # Errors
    /// [`TariffError::Constraint`]: one that nobody here checks would be a promise and no more.
    pub fn constraint(mut self, condition: &str, value: &str) -> Result<Self, TariffError> {
        // These are written by the tariff itself.
        let own = ["services", "preimage", "request_count"].contains(&condition)
            || ["_capabilities", "_valid_until"].iter().any(|suffix| condition.ends_with(suffix));
        let known = CAVEATS.iter().any(|caveat| caveat.knows(condition));
        if own || !known || value.is_empty() || value.chars().any(char::is_control) {
            return Err(TariffError::Constraint);
        }
        self.constraints.push((condition.to_owned(), value.to_owned()));
        Ok(self)
    }

    /// Lets every token open so many requests in all. They are counted in the store, atomically.
    #[must_use]
    pub fn request_count(mut self, count: NonZeroU64) -> Self {
        self.request_count = Some(count);
        self
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

    /// In which ways it asks to be paid, and takes payments. Tokens only, unless told.
    #[must_use]
    pub fn schemes(mut self, schemes: Schemes) -> Self {
        self.schemes = schemes;
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

    /// What a token costs where no rule has a price of its own. `None` when the service does not ask,
    /// and when the price is not fixed.
    pub fn price(&self) -> Option<Msat> {
        match self.price {
            Price::Fixed(price) if self.asks => Some(price),
            Price::Fixed(_) | Price::Quoted { .. } => None,
        }
    }

    /// Whether it asks for money at all.
    pub fn asks(&self) -> bool {
        self.asks
    }

    /// The caveats of a token sold under these terms at `now`.
    pub(crate) fn caveats(&self, terms: &Terms, now: SystemTime) -> Vec<String> {
        let mut caveats = vec![format!("services={}:0", self.name)];
        let granted = self.granted(terms);
        if !granted.is_empty() {
            caveats.push(format!("{}_capabilities={}", self.name, granted.join(",")));
        }
        if let Some(time) = self.valid_for {
            let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let end = now.saturating_add(time).as_secs();
            caveats.push(format!("{}_valid_until={end}", self.name));
        }
        let constraints = self.constraints.iter();
        caveats.extend(constraints.map(|(condition, value)| format!("{condition}={value}")));
        caveats.extend(self.request_count.map(|count| format!("request_count={count}")));
        caveats
    }
}

/// Whether a text can name a service or a rule: it goes into caveats, where `:`, `,` and `=` have a
/// meaning.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= 64 && name.bytes().all(fits)
}

#[cfg(test)]
mod tests;
