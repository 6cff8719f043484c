use proptest::prelude::*;

use super::*;
use crate::hash::Preimage;
use crate::keys::{Keyring, MasterKey};

const PAID: Preimage = Preimage::new([0x42; 32]);

fn facts() -> Facts<'static> {
    Facts {
        service: "weather",
        capability: Some("read"),
        method: "GET",
        path: "/v1/berlin",
        client_ip: Some("192.0.2.7".parse().unwrap()),
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
    }
}

fn verdict(caveats: &[&str], facts: &Facts<'_>, unknown: Unknown) -> Result<usize, CaveatError> {
    let keyring = Keyring::new(MasterKey::new([1; 32]), vec![]);
    let token = keyring.mint(PAID.hash(), [0; 28], caveats);
    let signatures = vec![[0; 32]; caveats.len()];
    check(&token, &signatures, facts, PAID.hash(), unknown).map(|counters| counters.len())
}

/// Each condition, with values that allow the request above, and values that do not.
fn table() -> Vec<(&'static str, Vec<String>, Vec<String>)> {
    let owned = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
    vec![
        (
            "services",
            owned(&["weather:0", "a:0,weather:1"]),
            owned(&["", "a:0", "weather", "weather:0,:"]),
        ),
        ("weather_capabilities", owned(&["read", "write,read"]), owned(&["", "write", "reads"])),
        (
            "weather_valid_until",
            owned(&["1001", "99999"]),
            owned(&["1000", "999", "", "-1", "soon", "+1001"]),
        ),
        ("preimage", owned(&[&"42".repeat(32)]), owned(&["", "42", &"43".repeat(32)])),
        ("method", owned(&["GET", "POST,GET"]), owned(&["", "get", "POST"])),
        (
            "path_prefix",
            owned(&["/", "/v1", "/v1/", "/v1/berlin"]),
            owned(&["", "v1", "/v2", "/v1/ber"]),
        ),
        (
            "client_ip",
            owned(&["192.0.2.7", "192.0.2.0/24", "::/0,192.0.2.7"]),
            owned(&["", "::/0", "192.0.3.0/24", "192.0.2.7,x"]),
        ),
        ("not_before", owned(&["0", "1000"]), owned(&["1001", "", "-5"])),
        ("request_count", owned(&["1", "10"]), owned(&["0", "", "-1", "ten"])),
    ]
}

#[test]
fn the_table_has_a_row_for_every_caveat() {
    assert_eq!(table().len(), CAVEATS.len());
    for (condition, ..) in table() {
        assert_eq!(CAVEATS.iter().filter(|kind| kind.knows(condition)).count(), 1, "{condition}");
    }
}

#[test]
fn each_caveat_allows_what_it_says_and_nothing_else() {
    for (condition, good, bad) in table() {
        for value in good {
            let caveat = format!("{condition}={value}");
            assert!(verdict(&[&caveat], &facts(), Unknown::Refuse).is_ok(), "{caveat}");
        }
        for value in bad {
            let caveat = format!("{condition}={value}");
            let expected = Err(CaveatError::DoesNotHold(condition.to_owned()));
            assert_eq!(verdict(&[&caveat], &facts(), Unknown::Skip), expected, "{caveat}");
        }
    }
}

#[test]
fn a_later_caveat_may_only_narrow() {
    for (wide, narrow) in [
        ("services=a:0,weather:0", "services=weather:0"),
        ("weather_capabilities=read,write", "weather_capabilities=read"),
        ("weather_valid_until=5000", "weather_valid_until=4000"),
        ("method=GET,POST", "method=GET"),
        ("path_prefix=/v1", "path_prefix=/v1/berlin"),
        ("client_ip=192.0.2.0/24", "client_ip=192.0.2.0/28"),
        ("not_before=10", "not_before=20"),
        ("request_count=10", "request_count=5"),
    ] {
        let condition = split(wide).unwrap().0.to_owned();
        assert!(verdict(&[wide, narrow], &facts(), Unknown::Skip).is_ok(), "{wide} {narrow}");
        assert_eq!(
            verdict(&[narrow, wide], &facts(), Unknown::Skip),
            Err(CaveatError::Widens(condition)),
            "{narrow} {wide}"
        );
    }
}

/// Found by the fuzzer: it is a number, and no time.
#[test]
fn an_expiry_beyond_all_clocks_is_narrowed_by_nothing() {
    let kind = CAVEATS.iter().find(|kind| kind.knows("weather_valid_until")).unwrap();
    let beyond = u64::MAX.to_string();
    assert!(!kind.allows(&beyond, &facts(), PAID.hash()));
    assert!(!kind.narrows(&beyond, "1001"));
}

#[test]
fn what_nobody_knows_is_skipped_unless_the_caller_is_strict() {
    for caveat in ["monthly_volume_sats=5", "no condition", "=x"] {
        assert_eq!(verdict(&[caveat], &facts(), Unknown::Skip), Ok(0), "{caveat}");
        assert!(
            matches!(verdict(&[caveat], &facts(), Unknown::Refuse), Err(CaveatError::NotKnown(_))),
            "{caveat}"
        );
    }
    // Another service's caveat is known; it is not about this request.
    assert_eq!(verdict(&["maps_valid_until=1"], &facts(), Unknown::Refuse), Ok(0));
}

#[test]
fn a_path_with_two_readings_is_below_no_prefix() {
    let mut facts = facts();
    for path in ["/v1/../admin", "/v1//x", "/v1/%2e%2e/admin"] {
        facts.path = path;
        assert!(verdict(&["path_prefix=/v1"], &facts, Unknown::Skip).is_err(), "{path}");
    }
}

#[test]
fn a_mapped_address_is_the_address() {
    let mut facts = facts();
    facts.client_ip = Some("::ffff:192.0.2.7".parse().unwrap());
    assert!(verdict(&["client_ip=192.0.2.0/24"], &facts, Unknown::Skip).is_ok());
    facts.client_ip = None;
    assert!(verdict(&["client_ip=0.0.0.0/0,::/0"], &facts, Unknown::Skip).is_err());
}

#[test]
fn a_holder_is_told_when_a_caveat_would_widen() {
    let keyring = Keyring::new(MasterKey::new([1; 32]), vec![]);
    let mut token = keyring.mint(PAID.hash(), [0; 28], ["method=GET"]);
    assert!(matches!(token.narrow("method=GET,POST"), Err(AttenuateError::Widens { .. })));
    assert!(matches!(token.narrow("method"), Err(AttenuateError::NoValue(_))));
    token.narrow("path_prefix=/v1").unwrap();
    assert_eq!(token.caveats().flatten().collect::<Vec<_>>(), ["method=GET", "path_prefix=/v1"]);
}

fn any_caveat() -> impl Strategy<Value = String> {
    let rows = table();
    (0..rows.len(), any::<prop::sample::Index>(), "[a-z0-9:,/.]{0,12}", any::<bool>()).prop_map(
        move |(row, pick, noise, known)| {
            let (condition, good, bad) = &rows[row];
            let values: Vec<&String> = good.iter().chain(bad).collect();
            let value = if known { values[pick.index(values.len())] } else { &noise };
            format!("{condition}={value}")
        },
    )
}

proptest! {
    /// Whatever is added to a token, it opens no request that it did not open before.
    #[test]
    fn attenuation_only_narrows(
        caveats in proptest::collection::vec(any_caveat(), 0..5),
        added in any_caveat(),
    ) {
        let before: Vec<&str> = caveats.iter().map(String::as_str).collect();
        let mut after = before.clone();
        after.push(&added);
        if verdict(&after, &facts(), Unknown::Skip).is_ok() {
            prop_assert!(verdict(&before, &facts(), Unknown::Skip).is_ok());
        }
    }

    /// `narrows` means what it says: what the narrower value allows, the wider one allows too.
    #[test]
    fn narrows_is_honest(row in 0..9usize, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let (condition, good, bad) = table().swap_remove(row);
        let values: Vec<String> = good.into_iter().chain(bad).collect();
        let (wide, narrow) = (a.get(&values), b.get(&values));
        let kind = CAVEATS.iter().find(|kind| kind.knows(condition)).unwrap();
        if kind.narrows(wide, narrow) && kind.allows(narrow, &facts(), PAID.hash()) {
            prop_assert!(kind.allows(wide, &facts(), PAID.hash()), "{condition}: {wide} then {narrow}");
        }
    }
}

#[test]
fn a_count_may_be_forgotten_when_everything_it_counts_has_expired() {
    let until = |caveats: &[&str]| {
        let keyring = Keyring::new(MasterKey::new([1; 32]), vec![]);
        let token = keyring.mint(PAID.hash(), [0; 28], caveats);
        let signatures = vec![[0; 32]; caveats.len()];
        let counters = check(&token, &signatures, &facts(), PAID.hash(), Unknown::Skip).unwrap();
        counters[0].until.map(|time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    };
    let (services, valid, count) =
        ("services=weather:0", "weather_valid_until=5000", "request_count=2");
    assert_eq!(until(&[services, valid, count]), Some(5000));
    assert_eq!(until(&[valid, services, count]), Some(5000));
    assert_eq!(until(&[services, valid, "weather_valid_until=4000", count]), Some(4000));
    // Without this caveat the same count is kept for a token that lives on: a holder could come back
    // with that one and count from nothing.
    assert_eq!(until(&[services, count, valid]), None);
    assert_eq!(until(&[services, valid, count, "weather_valid_until=2000"]), Some(5000));
    // It opens another service for longer.
    assert_eq!(until(&["services=weather:0,a:0", valid, count]), None);
    assert_eq!(until(&[valid, count]), None);
    assert_eq!(until(&[services, "a_valid_until=5000", count]), None);
}
