use std::time::Duration;

use l402::{Challenge, Invoice, Keyring, MasterKey, Msat, Paid, Preimage, scheme};

use super::*;

/// 10 sat on regtest; its preimage is 32 times 0x42.
const INVOICE: &str = "lnbcrt100n1p45n5sqdq0gaz4ggp0wpskjeqpp5gf0dfe9rdvcw5gdepcsuwykxf85zznpfkl40dqyf6ypecmj48pxqsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9qrsgqcqzysxqzuyz6cda2jzcgvvy0jv46ah458xj63yvtawfudp9g52f7v7lcgjuyg3tyd787njcdpu74w3n80n3d5s4dy66ahcfr607trfk82vcdwrw7sq58au9j";

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn challenge(caveats: &[&str]) -> Challenge {
    let invoice = Invoice::parse(INVOICE).unwrap();
    let keyring = Keyring::new(MasterKey::new([7; 32]), vec![]);
    let token = keyring.mint(invoice.payment_hash(), [1; 28], caveats);
    let scheme = scheme::find("L402").unwrap();
    Challenge::new(scheme, l402::Token::from_macaroon(&token), invoice).unwrap()
}

fn begun(method: &str, path: &str, caveats: &[&str]) -> Purchase {
    Purchase {
        origin: "https://example.com".parse().unwrap(),
        method: method.parse().unwrap(),
        path: path.to_owned(),
        target: None,
        query: None,
        challenge: challenge(caveats),
        node: None,
        begun_at: at(1),
    }
}

fn token(method: &str, path: &str, caveats: &[&str], paid_at: u64) -> Token {
    let paid = Paid { preimage: Preimage::new([0x42; 32]), fee: Msat::ZERO };
    let token = Token::bought(begun(method, path, caveats), paid, at(paid_at));
    Token { standing: Standing::Honoured, ..token }
}

fn wanted<'a>(method: &'a Method, path: &'a str) -> Wanted<'a> {
    Wanted { method, path, target: Target::of(&[]), offered: None, now: at(1000) }
}

fn fit(token: &Token, path: &str) -> Option<Fit> {
    wanted(&Method::GET, path).fit(token)
}

#[test]
fn caveats_that_cannot_hold_rule_a_token_out() {
    for (caveat, holds) in [
        ("method=GET,HEAD", true),
        ("method=POST", false),
        ("path_prefix=/a", true),
        ("path_prefix=/b", false),
        ("weather_valid_until=1001", true),
        ("weather_valid_until=1000", false),
        ("not_before=1000", true),
        ("not_before=1001", false),
        ("client_ip=192.0.2.1", true),
        ("request_count=1", true),
        ("request_count=0", false),
        ("weather_capabilities=read", true),
        ("nobody_knows=this", true),
    ] {
        let alone = token("GET", "/a", &[caveat], 1);
        let named = token("GET", "/a", &["services=weather:0", caveat], 1);
        assert_eq!(fit(&alone, "/a").is_some(), holds, "{caveat}");
        assert_eq!(fit(&named, "/a").is_some(), holds, "{caveat}");
    }
}

#[test]
fn a_token_for_two_services_has_expired_when_both_have() {
    let services = "services=a:0,b:0";
    let half = token("GET", "/a", &[services, "a_valid_until=1", "b_valid_until=2000"], 1);
    assert_eq!(fit(&half, "/a"), Some(Fit::Exact));
    let gone = token("GET", "/a", &[services, "a_valid_until=1", "b_valid_until=2"], 1);
    assert_eq!(fit(&gone, "/a"), None);
}

#[test]
fn a_token_fits_best_what_it_was_bought_for() {
    let plain = token("GET", "/a", &[], 1);
    assert_eq!(fit(&plain, "/a"), Some(Fit::Exact));
    assert_eq!(fit(&plain, "/a/b"), Some(Fit::Guess));
    assert_eq!(wanted(&Method::POST, "/a").fit(&plain), Some(Fit::Guess));

    let named = token("GET", "/a", &["path_prefix=/a"], 1);
    assert_eq!(fit(&named, "/a/b"), Some(Fit::Named));
    assert_eq!(fit(&named, "/ab"), None);

    let service = token("GET", "/a", &["services=weather:0"], 1);
    assert_eq!(fit(&service, "/b"), Some(Fit::Guess));
    for (offered, expected) in [("services=weather:0", Fit::Offered), ("services=b:0", Fit::Guess)]
    {
        let offered = challenge(&[offered]).token;
        let wanted = Wanted { offered: Some(&offered), ..wanted(&Method::GET, "/b") };
        assert_eq!(wanted.fit(&service), Some(expected));
    }
}

#[test]
fn what_was_never_honoured_is_not_bought_again_by_another_method() {
    let in_vain = Token { standing: Standing::InVain, ..token("GET", "/a", &[], 1) };
    assert_eq!(wanted(&Method::POST, "/a").fit(&in_vain), Some(Fit::Exact));
}

#[test]
fn the_most_specific_token_is_picked_and_a_guess_only_where_allowed() {
    let tokens =
        [token("GET", "/a/b/c", &[], 1), token("GET", "/a/x", &[], 2), token("GET", "/z", &[], 3)];
    let none = |_: &Token| false;
    let pick = |path, guess| {
        let picked = wanted(&Method::GET, path).pick(&tokens, none, guess);
        picked.map(|token| &*token.path)
    };
    assert_eq!(pick("/a/b/c", false), Some("/a/b/c"));
    assert_eq!(pick("/a/b/d", true), Some("/a/b/c"));
    assert_eq!(pick("/a/y", true), Some("/a/x"));
    assert_eq!(pick("/q", true), Some("/z"));
    assert_eq!(pick("/a/b/d", false), None);
    let spared = |token: &Token| token.path == "/a/b/c";
    let picked = wanted(&Method::GET, "/a/b/c").pick(&tokens, spared, false);
    assert!(picked.is_none(), "{picked:?}");
}

#[test]
fn of_tokens_for_one_service_the_newest_stands_for_all() {
    let weather = ["services=weather:0"];
    let tokens = [
        token("GET", "/a/b", &weather, 1),
        token("GET", "/z", &weather, 2),
        token("GET", "/y", &["services=other:0"], 3),
    ];
    let offered = challenge(&weather).token;
    let wanted = Wanted { offered: Some(&offered), ..wanted(&Method::GET, "/a/c") };
    let picked = wanted.pick(&tokens, |_| false, true).unwrap();
    assert_eq!(picked.path, "/z");
    // Nor as a guess, though its path has more in common.
    let guess = Wanted { offered: None, ..wanted };
    assert_eq!(guess.pick(&tokens[..2], |_| false, true).unwrap().path, "/z");
    // The older one is not sent after it, but for what it was bought for.
    assert!(wanted.pick(&tokens, |token| token.path == "/z", false).is_none());
    let exact = Wanted { path: "/a/b", ..wanted };
    assert_eq!(exact.pick(&tokens, |_| false, false).unwrap().path, "/a/b");
}

#[test]
fn a_payment_that_was_begun_counts_for_its_path_whatever_its_token_says() {
    // A server that hangs on to a payment cannot get a second one by naming another service.
    let begun = begun("POST", "/a", &["services=other:0", "method=POST"]);
    let offered = challenge(&["services=weather:0"]).token;
    let wanted = Wanted { offered: Some(&offered), ..wanted(&Method::GET, "/a") };
    assert!(wanted.is_bought_by(&begun));
    assert!(!Wanted { path: "/b", ..wanted }.is_bought_by(&begun));
    let service = self::begun("GET", "/a", &["services=weather:0"]);
    assert!(Wanted { path: "/b", ..wanted }.is_bought_by(&service));
}
