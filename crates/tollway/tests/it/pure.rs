//! The commands that only look: tokens and invoices.

use l402::{Keyring, MasterKey, Preimage, Token};

use crate::run::{Said, run_with, say, tollway};

/// 10 sat on regtest, expired long ago.
const INVOICE: &str = "lnbcrt100n1p45n5sqdq0gaz4ggp0wpskjeqpp5gf0dfe9rdvcw5gdepcsuwykxf85zznpfkl40dqyf6ypecmj48pxqsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9qrsgqcqzysxqzuyz6cda2jzcgvvy0jv46ah458xj63yvtawfudp9g52f7v7lcgjuyg3tyd787njcdpu74w3n80n3d5s4dy66ahcfr607trfk82vcdwrw7sq58au9j";

fn preimage() -> Preimage {
    Preimage::new([7; 32])
}

fn token(caveats: &[&str]) -> String {
    let keyring = Keyring::new(MasterKey::new([1; 32]), vec![]);
    let macaroon = keyring.mint(preimage().hash(), [9; 28], caveats);
    Token::from_macaroon(&macaroon).as_str().to_owned()
}

#[test]
fn inspect_says_what_is_in_a_token() {
    let said = say(&["token", "inspect", &token(&["services=weather:0", "x=\x1b[2J"])]);
    let key = MasterKey::new([1; 32]).id();
    let expected = format!(
        "location      lsat\n\
         payment hash  {}\n\
         token id      {key}{}\n\
         key id        {key} (if a Tollway gateway minted it)\n\
         caveats\n\
         \x20 services=weather:0\n\
         \x20     opens only (service:tier) weather:0\n\
         \x20 x=\\u{{1b}}[2J\n\
         \x20     not known here: servers that do not know it skip it, unless strict\n",
        preimage().hash(),
        "09".repeat(28),
    );
    assert_eq!(said, Said { code: 0, stdout: expected, stderr: String::new() });
}

#[test]
fn inspect_prints_no_secret_in_any_format() {
    let secret = preimage().expose_hex();
    let token = token(&[&format!("preimage={secret}")]);
    for format in ["text", "json"] {
        let line = format!("Authorization: L402 {token}:{secret}");
        let home = std::env::temp_dir();
        let said = run_with(tollway(&home, ["token", "inspect", "-", "--format", format]), &line);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(!said.stdout.contains(&secret) && said.stdout.contains("preimage=(secret)"));
        assert_eq!(said.stderr, "");
    }
}

#[test]
fn inspect_reads_the_output_of_curl() {
    let response = format!(
        "HTTP/1.1 402 Payment Required\r\nwww-authenticate: LSAT macaroon=\"{}\", \
         invoice=\"{INVOICE}\"\r\ncontent-length: 0\r\n\r\n",
        token(&["method=GET"])
    );
    let home = std::env::temp_dir();
    let said = run_with(tollway(&home, ["token", "inspect", "-", "--format", "json"]), &response);
    let json = said.json();
    assert_eq!(json["macaroons"][0]["payment_hash"], preimage().hash().to_string());
    assert_eq!(json["macaroons"][0]["caveats"][0]["meaning"], "only with the method GET");
    assert_eq!(json["macaroons"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_no_token_is_refused_with_a_hint() {
    let said = say(&["token", "inspect", "Basic dXNlcg=="]);
    let stderr = "error: there is no token in the argument\n\
                  hint: give the token itself, `token:preimage`, or a WWW-Authenticate or \
                  Authorization line\n";
    assert_eq!(said, Said { code: 2, stdout: String::new(), stderr: stderr.to_owned() });

    let said = say(&["token", "inspect", "b3BhcXVl"]);
    let stderr = "error: the token is no macaroon: only its server knows what it says\n";
    assert_eq!(said, Said { code: 2, stdout: String::new(), stderr: stderr.to_owned() });
}

#[test]
fn attenuate_narrows_and_never_widens() {
    let said = say(&["token", "attenuate", &token(&["method=GET,HEAD"]), "method=GET", "a=b"]);
    let expected = format!("{}\n", token(&["method=GET,HEAD", "method=GET", "a=b"]));
    assert_eq!(said, Said { code: 0, stdout: expected, stderr: String::new() });

    let said = say(&["token", "attenuate", &token(&["method=GET"]), "method=PUT\nhint: trust me"]);
    let stderr = "error: `method=PUT\\u{a}hint: trust me` is wider than `method=GET`, which the \
                  token has already; a caveat can only narrow\n\
                  hint: see `tollway token attenuate --help` for the known conditions\n";
    assert_eq!(said, Said { code: 2, stdout: String::new(), stderr: stderr.to_owned() });
}

#[test]
fn decode_says_what_an_invoice_asks_for() {
    let upper = format!("LIGHTNING:{}", INVOICE.to_uppercase());
    for text in [INVOICE, &upper] {
        let said = say(&["invoice", "decode", text]);
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said:?}");
        let lines: Vec<&str> = said.stdout.lines().collect();
        assert_eq!(lines[0], "amount        10 sat");
        assert_eq!(lines[1], "network       regtest");
        let hash = "425ed4e4a36b30ea21b90e21c712c649e8214c29b7eaf68089d1039c6e55384c";
        assert_eq!(lines[2], format!("payment hash  {hash}"));
    }
    let json = say(&["--format", "json", "invoice", "decode", INVOICE]).json();
    assert_eq!(json["amount_msat"], 10_000);
    assert_eq!(json["network"], "regtest");
}

#[test]
fn a_changed_invoice_is_refused() {
    let said = say(&["invoice", "decode", &INVOICE.replacen("100n", "200n", 1)]);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    assert!(said.stderr.starts_with("error: the invoice cannot be read: "), "{said:?}");
}

#[test]
fn errors_are_an_object_when_programs_read_them() {
    let said = say(&["token", "attenuate", &token(&[]), "nonsense", "--format", "json"]);
    let error: serde_json::Value = serde_json::from_str(&said.stderr).unwrap();
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    assert_eq!(error["error"]["kind"], "bad_caveat");
    assert_eq!(error["error"]["exit_code"], 2);
}

#[test]
fn usage_errors_end_with_2_and_help_with_0() {
    let said = say(&["token", "inspect"]);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    assert!(said.stderr.contains("tollway token inspect"), "{said:?}");

    let said = say(&["token", "inspect", "--help"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    assert!(said.stdout.contains("Examples:"), "{said:?}");

    let said = say(&["--version"]);
    assert_eq!(said.stdout, format!("tollway {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let mut child = tollway(&std::env::temp_dir(), ["invoice", "decode", INVOICE]).spawn().unwrap();
    drop(child.stdout.take());
    let said = Said::from(child.wait_with_output().unwrap());
    assert_eq!(said, Said { code: 0, stdout: String::new(), stderr: String::new() });
}

#[test]
fn import_prints_a_configuration_and_says_what_is_missing_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aperture.yaml");
    let yaml = "insecure: true\nauthenticator: {disable: true}\nsqlite: {dbfile: x}\nservices:\n\
                \x20 - {name: a, address: '127.0.0.1:9000', protocol: http, price: 5}\n";
    std::fs::write(&file, yaml).unwrap();
    let said = say(&["import", file.to_str().unwrap()]);
    let toml = "secret = \"file:gateway.key\"\n\n[[service]]\nname = \"a\"\n\
                upstream = \"http://127.0.0.1:9000\"\nprice = \"5 sat\"\n";
    assert_eq!((said.code, said.stdout.as_str()), (0, toml), "{said:?}");
    let hint = "sqlite.dbfile: Aperture does not know this key and ignores it; it reads \
                `sqlite.databasefilename`\n";
    assert!(said.stderr.contains(hint), "{}", said.stderr);
    let gone = say(&["import", folder.path().join("no.yaml").to_str().unwrap()]);
    assert!(gone.code != 0 && gone.stdout.is_empty(), "{gone:?}");
}
