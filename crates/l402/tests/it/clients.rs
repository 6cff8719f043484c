//! What we ask, read the way each deployed client reads it. Their parsers are older than the text
//! they implement, so what we emit is pinned to all of them at once.

use l402::{Offers, Token, scheme};
use regex::Regex;

use crate::support::{PREIMAGE, Terms, asks, keyring, list, text};

struct Asked {
    lines: Vec<String>,
    token: String,
    invoice: String,
}

/// A 402 of ours. The token has a caveat list long enough that base64 needs padding.
fn asked() -> Asked {
    let invoice: l402::Invoice = Terms::new(10_000).sign().parse().expect("just signed");
    let caveats = ["services=echo:0", "method=GET"];
    let token = keyring().mint(PREIMAGE.hash(), [5; 28], caveats);
    let lines = scheme::ask(&token, &invoice).map(|line| line.to_str().expect("ASCII").to_owned());
    Asked { lines: lines.collect(), token: token.to_base64(), invoice: invoice.to_string() }
}

/// Finds the token and the invoice in `line` with a deployed client's own pattern.
fn matched<'a>(pattern: &str, line: &'a str) -> Option<(&'a str, &'a str)> {
    let groups = Regex::new(pattern).expect("a pattern").captures(line)?;
    let group = |index| groups.get(index).expect("the pattern has it").as_str();
    Some((group(groups.len() - 2), group(groups.len() - 1)))
}

/// Aperture, `l402/client_interceptor.go`: `macaroon` first and exactly `", "` between, on any line.
const APERTURE: &str = r#"(LSAT|L402) macaroon="(.*?)", invoice="(.*?)""#;
/// lnget, `l402/header.go`.
const LNGET: &str = r#"(?i)(LSAT|L402)\s+macaroon="([^"]+)",\s*invoice="([^"]+)""#;
/// L402-python, `credentials.py`: greedy up to a space, so a parameter must follow a space.
const FEWSATS_TOKEN: &str = r#"macaroon="([^ ]+)""#;

#[test]
fn the_lines_and_the_parameters_stand_in_the_order_old_clients_need() {
    let Asked { lines, token, invoice } = asked();
    assert_eq!(
        lines,
        [
            format!(r#"LSAT macaroon="{token}", invoice="{invoice}""#),
            format!(
                r#"L402 macaroon="{token}", invoice="{invoice}", version="0", token="{token}""#
            ),
        ]
    );
}

#[test]
fn aperture_and_lnget_find_the_token_and_the_invoice_on_each_line() {
    let Asked { lines, token, invoice } = asked();
    for pattern in [APERTURE, LNGET] {
        for line in &lines {
            assert_eq!(matched(pattern, line), Some((&token[..], &invoice[..])), "{pattern}");
        }
    }
}

/// lnget and L402sdk read the first line only, which must start with a scheme they know; lnget
/// also wants a 66-byte identifier of version 0.
#[test]
fn a_client_that_reads_one_line_reads_enough() {
    let Asked { lines, token, .. } = asked();
    assert!(lines[0].starts_with("LSAT ") && lines[1].starts_with("L402 "));
    let token = Token::new(&token).expect("ours").macaroons().expect("it is a macaroon").remove(0);
    assert_eq!(token.identifier().len(), 66);
    assert_eq!(token.identifier()[..2], [0, 0]);
}

/// L402sdk, `l402-proto/src/challenge.rs`: strips the scheme, splits at commas, wants `=` in every
/// part, keeps what it knows, and wants padded base64 and an invoice that starts `lnbc` or `lntb`.
#[test]
fn l402sdk_reads_every_line() {
    let Asked { lines, token, invoice } = asked();
    for line in &lines {
        let rest = line.strip_prefix("LSAT ").or(line.strip_prefix("L402 ")).expect("a scheme");
        let parts: Vec<(&str, &str)> = rest
            .split(',')
            .map(|part| part.trim().split_once('=').expect("L402sdk refuses a part without `=`"))
            .map(|(key, value)| (key, value.trim_matches('"')))
            .collect();
        assert!(parts.contains(&("macaroon", &token)), "{line}");
        assert!(parts.contains(&("invoice", &invoice)), "{line}");
    }
    assert_eq!(token.len() % 4, 0, "L402sdk wants padding");
    assert!(token.ends_with('='), "and this token needs some");
    assert!(!token.contains(['-', '_']), "aperture and lnget want the standard alphabet");
    assert!(invoice.starts_with("lnbc") || invoice.starts_with("lntb"));
}

#[test]
fn l402_python_finds_the_token() {
    let Asked { lines, token, .. } = asked();
    let pattern = Regex::new(FEWSATS_TOKEN).expect("a pattern");
    for line in &lines {
        let groups = pattern.captures(line);
        let found = groups.expect("found").get(1).expect("one group").as_str();
        assert_eq!(found.trim_end_matches([',', '"']), token);
    }
}

/// What deployed servers send, in forms that one or another deployed client cannot read.
#[test]
fn every_deployed_server_is_understood() {
    let Asked { token: m, invoice: p, .. } = asked();
    let bare = m.trim_end_matches('=');
    let url_safe = m.replace('+', "-").replace('/', "_");
    for (who, lines) in [
        (
            "aperture",
            vec![
                format!(r#"LSAT macaroon="{m}", invoice="{p}""#),
                format!(r#"L402 macaroon="{m}", invoice="{p}""#),
            ],
        ),
        (
            "protocol-specification.md",
            vec![format!(r#"L402 version="0", token="{m}", invoice="{p}""#)],
        ),
        ("l402_middleware", vec![format!("L402 macaroon={m}, invoice={p}")]),
        ("ngx-l402", vec![format!(r#"L402 macaroon="{url_safe}", invoice="{p}""#)]),
        ("boltwall", vec![format!(r#"LSAT invoice="{p}", macaroon="{bare}""#)]),
        ("single quotes", vec![format!("l402 macaroon='{m}', invoice='{p}'")]),
        (
            "an unknown parameter",
            vec![format!(r#"L402 realm="x, y", address="bc1", macaroon="{m}", invoice="{p}""#)],
        ),
        (
            "one line",
            vec![format!(
                r#"Basic realm="x", LSAT macaroon="{m}", invoice="{p}", L402 token="{m}", invoice="{p}""#
            )],
        ),
        (
            "after another scheme",
            vec!["Bearer".to_owned(), format!(r#"L402 token="{m}",invoice="{p}""#)],
        ),
        ("both parameters", vec![format!(r#"L402 token="{m}", macaroon="{m}", invoice="{p}""#)]),
        (
            "both parameters in two alphabets",
            vec![format!(r#"L402 token="{bare}", macaroon="{url_safe}", invoice="{p}""#)],
        ),
    ] {
        let offers = Offers::read(&asks(lines.iter().map(String::as_str)));
        assert!(offers.refused.is_empty(), "{who}: {:?}", offers.refused);
        assert!(!offers.challenges.is_empty(), "{who}");
        for offer in &offers.challenges {
            assert_eq!(offer.invoice.as_str(), p, "{who}");
            assert!(offer.bound, "{who}");
        }
    }
}

/// Servers whose identifiers are a bare hash, and one whose token is no macaroon at all.
#[test]
fn a_token_in_any_form_is_sent_back_letter_for_letter() {
    let invoice = Terms::new(10_000).sign();
    let hash = PREIMAGE.hash().0;
    let key = l402::RootKey::new([1; 32]);
    let prefixed = [&[0xff][..], &hash].concat();
    let macaroon = |id: &[u8]| l402::Macaroon::mint(&key, id).to_base64();
    let cases = serde_json::json!([
        [macaroon(&hash), true],
        [macaroon(&prefixed), true],
        [macaroon(b"something of the server's own"), false],
        ["opaque-~token.1", false],
        ["AGIAJEemVQUTEyNCR0exk7ek90Cg==", false],
    ]);
    for case in list(&cases) {
        let token = text(&case[0]);
        let offers =
            Offers::read(&asks([&*format!(r#"L402 token="{token}", invoice="{invoice}""#)]));
        let offer = &offers.challenges[0];
        assert_eq!(offer.bound, case[1], "{token}");
        let sent = offer.authorization(&PREIMAGE);
        assert_eq!(sent.to_str().unwrap(), format!("L402 {token}:{}", "42".repeat(32)));
        assert!(sent.is_sensitive());
    }
}
