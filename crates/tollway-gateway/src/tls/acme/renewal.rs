//! When a certificate is to be replaced: at some moment within the window that its authority suggests
//! (ACME renewal information, RFC 9773), which may be at once when many have to be replaced; or when two
//! thirds of its time are over, where the authority suggests nothing.

use std::time::{Duration, SystemTime};

use instant_acme::{CertificateIdentifier, Error as AcmeError, SuggestedWindow};
use rustls::pki_types::CertificateDer;

use super::order::{self, OrderError};
use super::{Acme, LOOK};

/// The shortest and the longest time between two questions to the authority, whatever it says itself.
const SOON: Duration = Duration::from_secs(60);
const LATE: Duration = Duration::from_secs(24 * 3600);

/// One certificate, as far as its end is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) begin: SystemTime,
    pub(super) end: SystemTime,
}

/// What an authority suggests for a certificate, and which moment of that was chosen.
#[derive(Debug)]
pub(super) struct Suggestion {
    window: [SystemTime; 2],
    chosen: SystemTime,
}

impl Life {
    /// When it is replaced, where nobody suggests anything.
    pub(super) fn rule(&self) -> SystemTime {
        self.begin + self.length() * 2 / 3
    }

    /// What the authority knows it by; nothing where it does not say who has signed it.
    pub(super) fn name(&self) -> Option<CertificateIdentifier<'static>> {
        let name = CertificateIdentifier::try_from(&self.certificate).ok();
        name.map(CertificateIdentifier::into_owned)
    }

    /// When it is replaced by that suggestion, for who has had it since `had`. Not in its last tenth, in
    /// which nothing may go wrong any more; and one that is new is not replaced at once again, whatever
    /// is suggested: authorities hand out only so many.
    pub(super) fn due(&self, suggestion: &Suggestion, had: Option<SystemTime>) -> SystemTime {
        let latest = self.end - self.length() / 10;
        let earliest = had.map(|had| had + (self.length() / 3).min(LOOK));
        let chosen = suggestion.chosen.min(latest);
        earliest.map_or(chosen, |earliest| earliest.max(chosen))
    }

    fn length(&self) -> Duration {
        self.end.duration_since(self.begin).unwrap_or_default()
    }
}

impl Suggestion {
    /// A moment in this window, of which there are `u32::MAX`. `None`: the window is none (RFC 9773
    /// section 4.2).
    fn new(window: [SystemTime; 2], moment: u32) -> Option<Self> {
        let [start, end] = window;
        let length = end.duration_since(start).ok().filter(|length| !length.is_zero())?;
        let chosen = start.checked_add(length / u32::MAX * moment)?;
        Some(Self { window, chosen })
    }

    /// What is known of it, for the log.
    pub(super) fn window(&self) -> [SystemTime; 2] {
        self.window
    }
}

/// Asks the authority, and says when to ask again. What was suggested before and is the same is kept, with
/// the moment that was chosen.
pub(super) async fn ask(
    acme: &Acme,
    life: &Life,
    before: Option<Suggestion>,
) -> (Option<Suggestion>, Duration) {
    match asked(acme, life).await {
        Ok(Some((window, again))) => {
            let window = [window.start.into(), window.end.into()];
            let suggestion = match before.filter(|before| before.window == window) {
                Some(before) => Some(before),
                None => moment().and_then(|moment| Suggestion::new(window, moment)),
            };
            (suggestion, again.clamp(SOON, LATE))
        }
        Ok(None) => (None, LATE),
        Err(error) => {
            let error = crate::course::chain(&error);
            tracing::warn!(error, "the authority does not say when to replace a certificate");
            // What it has said is better than nothing.
            (before, LOOK)
        }
    }
}

/// `None`: this authority suggests nothing, or the certificate has no name to it.
async fn asked(
    acme: &Acme,
    life: &Life,
) -> Result<Option<(SuggestedWindow, Duration)>, OrderError> {
    let Some(name) = life.name() else { return Ok(None) };
    match order::account(acme).await?.renewal_info(&name).await {
        Ok((info, again)) => Ok(Some((info.suggested_window, again))),
        Err(AcmeError::Unsupported(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Any moment is as good as another; without random numbers there is no suggestion.
fn moment() -> Option<u32> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).ok()?;
    Some(u32::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn day(number: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * (20_000 + number)
    }

    /// Good for ninety days.
    fn life() -> Life {
        Life { certificate: CertificateDer::from(vec![1]), begin: day(0), end: day(90) }
    }

    fn suggested(start: u32, end: u32, moment: u32) -> Suggestion {
        Suggestion::new([day(start), day(end)], moment).unwrap()
    }

    #[test]
    fn without_a_suggestion_two_thirds_of_its_time_are_enough() {
        assert_eq!(life().rule(), day(60));
    }

    #[test]
    fn any_moment_of_the_window_may_be_chosen_and_none_outside() {
        let due = |moment| life().due(&suggested(40, 50, moment), None);
        assert_eq!(due(0), day(40));
        assert!((day(44)..day(46)).contains(&due(u32::MAX / 2)));
        assert!((day(49)..=day(50)).contains(&due(u32::MAX)));
    }

    #[test]
    fn a_window_that_is_none_suggests_nothing() {
        assert!(Suggestion::new([day(50), day(50)], 0).is_none());
        assert!(Suggestion::new([day(50), day(40)], 0).is_none());
    }

    #[test]
    fn a_window_that_is_over_means_at_once_and_only_once() {
        let suggestion = suggested(1, 2, 7);
        assert!(life().due(&suggestion, None) < day(3));
        // One that was had just now was meant to be had.
        let had = day(10);
        assert_eq!(life().due(&suggestion, Some(had)), had + LOOK);
        let short = Life { end: day(0) + Duration::from_secs(12), ..life() };
        let had = day(0) + Duration::from_secs(1);
        let early = Suggestion::new([day(0), had], 0).unwrap();
        assert_eq!(short.due(&early, Some(had)), had + Duration::from_secs(4));
    }

    #[test]
    fn nobody_waits_for_the_last_days() {
        assert_eq!(life().due(&suggested(100, 200, 0), None), day(81));
    }
}
