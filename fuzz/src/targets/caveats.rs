//! A request and the caveats of a paid token, a line each: service, capability, method, path,
//! address, seconds, then one caveat a line.

use std::time::{Duration, SystemTime};

use l402::caveat::{CAVEATS, Counter, Facts, Unknown, split};
use l402::{Credential, Denied, Keyring, Macaroon, MasterKey, Preimage};

const PAID: Preimage = Preimage::new([0x42; 32]);
/// More would only make it slow.
const MOST: usize = 12;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let facts = Facts {
        service: line(),
        capability: Some(line()).filter(|capability| !capability.is_empty()),
        method: line(),
        path: line(),
        client_ip: line().parse().ok(),
        now: time(line()),
    };
    let caveats: Vec<&str> = lines.take(MOST).collect();
    for known in 1..=caveats.len() {
        opens_no_more(&caveats[..known], &facts);
    }
    can_be_told_before(&caveats, &facts);
    is_honest_about_narrowing(&caveats, &facts);
}

fn time(seconds: &str) -> SystemTime {
    let seconds = seconds.parse().unwrap_or(0);
    let start = SystemTime::UNIX_EPOCH;
    start.checked_add(Duration::from_secs(seconds)).unwrap_or(start)
}

fn keyring() -> Keyring {
    Keyring::new(MasterKey::new([7; 32]), vec![])
}

fn token(caveats: &[&str]) -> Macaroon {
    keyring().mint(PAID.hash(), [1; 28], caveats)
}

fn judge(token: Macaroon, facts: &Facts<'_>, unknown: Unknown) -> Result<Vec<Counter>, Denied> {
    let credential = Credential::new(vec![token], PAID);
    credential.verify(&keyring(), facts, unknown).map(|verified| verified.counters().to_vec())
}

/// With its last caveat, a token opens no request that it does not open without, counts in every
/// counter that it counted in before, and is refused for the same reason.
fn opens_no_more(caveats: &[&str], facts: &Facts<'_>) {
    let (_, shorter) = caveats.split_last().expect("there is one");
    for unknown in [Unknown::Skip, Unknown::Refuse] {
        let before = judge(token(shorter), facts, unknown);
        let after = judge(token(caveats), facts, unknown);
        match (before, after) {
            (Ok(before), Ok(after)) => assert!(after.starts_with(&before), "a counter is gone"),
            (Err(before), after) => assert_eq!(after, Err(before)),
            (Ok(_), Err(_)) => {}
        }
    }
    let strict = judge(token(caveats), facts, Unknown::Refuse);
    if strict.is_ok() {
        assert_eq!(judge(token(caveats), facts, Unknown::Skip), strict);
    }
}

/// What a holder is allowed to add never makes the token one that widens.
fn can_be_told_before(caveats: &[&str], facts: &Facts<'_>) {
    let mut held = token(&[]);
    for caveat in caveats {
        let before = held.clone();
        if held.narrow(caveat).is_err() {
            assert_eq!(held, before, "refused, and changed all the same");
        }
    }
    let verdict = judge(held, facts, Unknown::Skip);
    assert!(
        !matches!(verdict, Err(Denied::Caveat(l402::caveat::CaveatError::Widens(_)))),
        "a narrowed token widens"
    );
}

/// `narrows` means that everything which the later value allows, the earlier one allows too.
fn is_honest_about_narrowing(caveats: &[&str], facts: &Facts<'_>) {
    let values: Vec<&str> =
        caveats.iter().filter_map(|caveat| split(caveat)).map(|(_, value)| value).collect();
    for kind in CAVEATS {
        for wide in &values {
            for narrow in &values {
                if kind.narrows(wide, narrow) && kind.allows(narrow, facts, PAID.hash()) {
                    let name = kind.condition();
                    assert!(kind.allows(wide, facts, PAID.hash()), "{name}: {wide} then {narrow}");
                }
            }
        }
    }
}
