//! Lists, a page at a time. A page begins where the one before ended, by time and payment hash, so that
//! nothing is missed and nothing comes twice, whatever is sold meanwhile.

use std::time::{Duration, SystemTime};

use l402::PaymentHash;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Office;
use super::answer::Refused;
use super::day;
use crate::store::{Bill, By, Pick, Place, StoreError};

/// How many there are on a page unless told, and at most.
const USUAL: u32 = 100;
pub(super) const MOST: u32 = 1_000;
/// How many bills are looked through for one page at most, where no index finds them: then the page is
/// shorter, and the next one goes on from there.
const LOOK: usize = 20_000;
/// How long the store may take for one page.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long what was just sold may take to be written down before it is read.
const SETTLE: Duration = Duration::from_secs(2);

/// Which part of a list is wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    /// From this day or time on (UTC). For what was paid the time of payment counts, otherwise when it
    /// was asked.
    from: Option<String>,
    /// Until the end of this day, or before this time.
    to: Option<String>,
    /// Only this service.
    service: Option<String>,
    /// Only what is in this state.
    state: Option<State>,
    /// Where the page before ended: its `next`.
    cursor: Option<String>,
    /// At most so many; 100 unless told, and at most 1000.
    limit: Option<u32>,
    /// `json`, a page at a time, or `csv`, all of it.
    format: Option<Format>,
}

/// What became of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It can still be paid.
    Unpaid,
    /// Its payment was seen.
    Paid,
    /// It was not paid, as far as is known, and cannot be any more.
    Expired,
}

/// In which form a list is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// A page, for programs.
    #[default]
    Json,
    /// All of it, for a spreadsheet.
    Csv,
}

/// What is on one page, and where the next begins.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) bills: Vec<Bill>,
    pub(super) next: Option<Place>,
}

/// A list that can be leafed through.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pick: Pick,
    state: Option<State>,
    with_token: bool,
}

impl State {
    /// What became of this bill, by now.
    pub(super) fn of(bill: &Bill, now: SystemTime) -> Self {
        match (bill.settled, bill.expires) {
            (Some(_), _) => Self::Paid,
            (None, Some(expires)) if expires <= now => Self::Expired,
            // Of what an earlier version wrote down nobody knows when it ended.
            (None, _) => Self::Unpaid,
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::Paid => "paid",
            Self::Expired => "expired",
        }
    }
}

impl Listing {
    /// In which form it is wanted.
    pub(super) fn format(&self) -> Format {
        self.format.unwrap_or_default()
    }

    /// Checks what was asked for. `state` is that of a list which has one of its own; `with_token`
    /// leaves out what was sold without one.
    pub(super) fn leaf(self, state: Option<State>, with_token: bool) -> Result<Leaf, Refused> {
        let csv = self.format() == Format::Csv;
        if csv && (self.limit.is_some() || self.cursor.is_some()) {
            let why = "`format=csv` is all of it: leave `limit` and `cursor` out";
            return Err(Refused::Request(why.to_owned()));
        }
        if state.is_some() && self.state.is_some_and(|other| Some(other) != state) {
            let why = "this list has one state only: leave `state` out";
            return Err(Refused::Request(why.to_owned()));
        }
        let limit = if csv { MOST } else { self.limit.unwrap_or(USUAL) };
        if !(1..=MOST).contains(&limit) {
            let why = format!("`limit = {limit}`: write a whole number from 1 to {MOST}");
            return Err(Refused::Request(why));
        }
        let state = state.or(self.state);
        let by = if state == Some(State::Paid) { By::Settled } else { By::Issued };
        let (from, to) = span(self.from.as_deref(), self.to.as_deref())?;
        let after = self.cursor.as_deref().map(cursor).transpose()?;
        let pick = Pick { by, service: self.service, from, to, after, limit };
        Ok(Leaf { pick, state, with_token })
    }
}

/// The times between which something is wanted.
pub(super) fn span(
    from: Option<&str>,
    to: Option<&str>,
) -> Result<(Option<SystemTime>, Option<SystemTime>), Refused> {
    let read = |key: &str, text: Option<&str>, read: fn(&str) -> Result<_, &'static str>| {
        let wrong = |text: &str, why| Refused::Request(format!("`{key} = {text}`: {why}"));
        text.map(|text| read(text).map_err(|why| wrong(text, why))).transpose()
    };
    Ok((read("from", from, day::from)?, read("to", to, day::to)?))
}

impl Leaf {
    /// The page, and this turned to the next.
    pub(super) async fn turn(&mut self, office: &Office, now: SystemTime) -> Result<Page, Refused> {
        let limit = self.pick.limit as usize;
        let filtered = self.with_token || !matches!(self.state, None | Some(State::Paid));
        let stripe =
            Pick { limit: if filtered { MOST } else { self.pick.limit }, ..self.pick.clone() };
        let mut page = Page { bills: Vec::new(), next: None };
        let mut looked = 0;
        loop {
            let pick = Pick { after: self.pick.after, ..stripe.clone() };
            let found = within(office, office.gateway.store().bills(&pick)).await?;
            let last = found.len() < stripe.limit as usize;
            looked += found.len();
            for bill in found {
                self.pick.after = self.pick.place(&bill);
                if self.wants(&bill, now) {
                    page.bills.push(bill);
                }
                if page.bills.len() == limit {
                    page.next = self.pick.after;
                    return Ok(page);
                }
            }
            if last {
                return Ok(page);
            }
            if looked >= LOOK {
                page.next = self.pick.after;
                return Ok(page);
            }
        }
    }

    fn wants(&self, bill: &Bill, now: SystemTime) -> bool {
        self.state.is_none_or(|state| State::of(bill, now) == state)
            && (!self.with_token || bill.token.is_some())
    }
}

/// Waits for the store, and for what was just sold to be written into it, but not for ever.
pub(super) async fn within<T>(
    office: &Office,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Refused> {
    let store = office.gateway.store().name();
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(StoreError::Silent { store, patience: PATIENCE }.into()),
    }
}

/// Has what was just sold written down, so that it is read; a store that is slow is read as it is.
pub(super) async fn settle(office: &Office) {
    let flush = office.gateway.till().books.flush();
    if tokio::time::timeout(SETTLE, flush).await.is_err() {
        tracing::warn!(
            "what was just sold is not written down yet; what is listed is a little old"
        );
    }
}

/// `1763712000123-<payment hash>`, which stands in a page as `next`.
pub(super) fn cursor_text(place: Place) -> String {
    let since = place.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}", since.as_millis(), place.hash)
}

fn cursor(text: &str) -> Result<Place, Refused> {
    let read = || {
        let (millis, hash) = text.split_once('-')?;
        let millis =
            millis.bytes().all(|byte| byte.is_ascii_digit()).then(|| millis.parse().ok())?;
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis?))?;
        Some(Place { at, hash: hash.parse::<PaymentHash>().ok()? })
    };
    let why = "`cursor` is no page's `next`; leave it out to begin with the first page";
    read().ok_or_else(|| Refused::Request(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_is_one() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_712_000_123);
        let place = Place { at, hash: PaymentHash([7; 32]) };
        assert_eq!(cursor(&cursor_text(place)).unwrap(), place);
        let bad = [
            String::new(),
            "1-2".into(),
            format!("-1-{}", place.hash),
            format!("x-{}", place.hash),
        ];
        for text in bad.into_iter().chain([format!("{}-{}", u64::MAX, "x")]) {
            assert!(cursor(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused_by_name() {
        let refused = |listing: Listing| listing.leaf(None, false).unwrap_err().to_string();
        let limit = |limit| Listing { limit: Some(limit), ..Listing::default() };
        assert!(refused(limit(0)).contains("`limit = 0`"));
        assert!(refused(limit(1_001)).contains("from 1 to 1000"));
        let csv = Listing { format: Some(Format::Csv), ..limit(5) };
        assert!(refused(csv).contains("format=csv"));
        let from = Listing { from: Some("soon".into()), ..Listing::default() };
        assert!(refused(from).contains("`from = soon`"));
        let state = Listing { state: Some(State::Unpaid), ..Listing::default() };
        assert!(state.leaf(Some(State::Paid), false).is_err());
    }
}
