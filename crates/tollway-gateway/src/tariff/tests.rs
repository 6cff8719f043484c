//! What a tariff refuses, what it lets pass for nothing, and what its tokens say.

use super::*;

fn tariff() -> Tariff {
    Tariff::new("weather", "10 sat".parse().unwrap()).unwrap()
}

#[test]
fn a_free_path_is_exact_unless_it_says_below() {
    let tariff = tariff().free("/health").unwrap().free("/docs/*").unwrap();
    for free in ["/health", "/docs/", "/docs/a/b"] {
        assert!(tariff.terms(&http::Method::GET, free).free, "{free}");
    }
    for paid in ["/health/", "/healthy", "/HEALTH", "/docs", "/docsx", "/"] {
        assert!(!tariff.terms(&http::Method::GET, paid).free, "{paid}");
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
fn a_token_says_what_it_was_sold_for() {
    let tariff = tariff()
        .capability_of_all("write")
        .unwrap()
        .constraint("method", "GET,HEAD")
        .unwrap()
        .request_count(NonZeroU64::new(5).unwrap());
    let terms = tariff.terms(&http::Method::GET, "/");
    let expected =
        ["services=weather:0", "weather_capabilities=write", "method=GET,HEAD", "request_count=5"];
    assert_eq!(tariff.caveats(&terms, SystemTime::UNIX_EPOCH), expected);
    for (condition, value) in [
        ("colour", "red"),
        ("services", "a:0"),
        ("x_valid_until", "1"),
        ("method", ""),
        ("method", "a\nb"),
    ] {
        let refused = tariff.clone().constraint(condition, value);
        assert_eq!(refused, Err(TariffError::Constraint), "{condition}");
    }
}

#[test]
fn a_token_outlives_the_invoice_that_pays_for_it() {
    let minute = Duration::from_secs(60);
    let tariff = tariff().valid_for(minute).unwrap();
    assert_eq!(tariff.invoice_expiry, minute / 2);
    assert_eq!(tariff.clone().invoice_expiry(minute), Err(TariffError::Order));
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    let terms = tariff.terms(&http::Method::GET, "/");
    assert_eq!(tariff.caveats(&terms, at), ["services=weather:0", "weather_valid_until=1060"]);
}
