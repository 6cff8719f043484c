//! The example is read as it stands, and every kind of mistake is found where it stands.

use l402::Msat;
use l402::caveat::Unknown;

use super::*;
use crate::memo::Memo;
use crate::tariff::BadCredential;

const EXAMPLE: &str = include_str!("../../../../gateway.example.toml");
const LEAST: &str = "[[service]]\nname = 'a'\nupstream = 'http://h'\nprice = '1 sat'\n";

fn mistakes(text: &str) -> Vec<String> {
    Config::read(text).unwrap_err().iter().map(ToString::to_string).collect()
}

/// The one mistake in a service that is right but for `line`, which is line 5.
fn mistake(line: &str) -> String {
    let found = mistakes(&format!("{LEAST}{line}"));
    let [one] = &found[..] else { panic!("{line}: {found:?}") };
    one.clone()
}

#[test]
fn the_example_is_a_configuration() {
    let config = Config::read(EXAMPLE).unwrap();
    assert_eq!(config.listen, LISTEN.parse().unwrap());
    assert_eq!(config.node.unwrap().scheme(), "purse");
    let path = "/var/lib/tollway/gateway.key".into();
    assert_eq!(config.secret, Some(SecretSource::File(path)));
    let [weather, status] = &config.services[..] else { panic!("two services") };
    let hosts: Vec<String> = weather.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["api.example.com", "weather.example.com"]);
    assert_eq!(weather.tariff.price(), Msat::from_sat(10));
    assert_eq!(weather.tariff.memo, Memo::read("weather for one month").unwrap());
    assert_eq!(weather.tariff.valid_for, Some(Duration::from_secs(30 * 24 * 3600)));
    let free = |path| weather.tariff.terms(&http::Method::GET, path).free;
    assert!(free("/health") && free("/docs/a"));
    assert_eq!((status.paths[0].to_string().as_str(), status.tariff.price()), ("/status", None));
}

#[test]
fn the_example_shows_every_key_and_what_holds_without_it() {
    let shown = |key: &str| {
        EXAMPLE.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")))
    };
    let tables = ["service", "rule", "limit", "tls", "acme", "traces"];
    let keys =
        KEYS.iter().chain(&*service::KEYS).chain(tariff::RULE_KEYS).chain(limits::LIMIT_KEYS);
    let keys = keys.chain(tls::KEYS).chain(tls::ACME_KEYS).chain(traces::KEYS);
    for key in keys.filter(|key| !tables.contains(key)) {
        assert!(shown(key), "{key}");
    }
    // With every key that is commented out put in force, all but the examples among them, nothing
    // changes: so the file tells the truth about what holds without them.
    let examples = [
        "old_secrets",
        "ca",
        "protocol",
        "method",
        "check",
        "idle_timeout",
        "body_limit",
        "strip_prefix",
        "add_prefix",
        "remove_request_headers",
        "request_headers",
        "remove_response_headers",
        "response_headers",
        "cors",
        "no_invoice",
        "pricer",
        "pricer_ca",
        "trusted_proxies",
        "blocked",
        "capabilities",
        "constraints",
        "request_count",
        "rates",
        "rates_pointer",
        "rates_ca",
        "metrics",
        "authorize",
        "admin",
    ];
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| {
            match line.strip_prefix("# ").and_then(|rest| Some((rest, rest.split_once(" = ")?.0))) {
                Some((rest, key))
                    if KEYS.iter().chain(&*service::KEYS).any(|known| *known == key)
                        && !examples.contains(&key) =>
                {
                    format!("{rest}\n")
                }
                _ => format!("{line}\n"),
            }
        })
        .collect();
    assert_ne!(uncommented, EXAMPLE);
    let (written, silent) = (Config::read(&uncommented).unwrap(), Config::read(EXAMPLE).unwrap());
    assert_eq!(format!("{written:?}"), format!("{silent:?}"));
}

#[test]
fn the_examples_tls_can_be_put_in_force_as_it_stands() {
    let lines = EXAMPLE.lines().filter_map(|line| line.strip_prefix("# "));
    let table = lines.skip_while(|line| *line != "[tls]").filter(|line| {
        let key = line.split_once(" = ").map(|(key, _)| key);
        line.starts_with("[tls")
            || key.is_some_and(|key| {
                tls::KEYS.iter().chain(tls::ACME_KEYS).any(|known| *known == key)
            })
    });
    let text = table.take_while(|line| !line.starts_with("directory_ca")).collect::<Vec<_>>();
    let tls = Config::read(&format!("{}\n{LEAST}", text.join("\n"))).unwrap().tls.unwrap();
    assert_eq!(tls.pairs.len(), 1);
    assert!(tls.clients.as_ref().unwrap().required);
    assert_eq!((tls.redirect_http, tls.redirect_port), ("0.0.0.0:80".parse().ok(), Some(443)));
    let acme = tls.acme.as_ref().unwrap();
    assert_eq!(acme.domains, ["api.example.com"]);

    // What it shows for the rest holds without it.
    let least = "[tls.acme]\ndomains = 'a.example'\nterms_agreed = true\ncache = '/c'\n";
    let silent = Config::read(&format!("{least}{LEAST}")).unwrap().tls.unwrap();
    assert_eq!(silent.handshake_timeout, tls.handshake_timeout);
    assert_eq!(silent.acme.as_ref().unwrap().directory, acme.directory);
    assert!(Config::read(LEAST).unwrap().tls.is_none());
}

#[test]
fn tls_that_cannot_be_is_refused() {
    let pair = "certificate = 'file:/c'\nkey = 'file:/k'\n";
    let acme = "domains = 'a.example'\nterms_agreed = true\ncache = '/c'\n";
    for (text, part) in [
        ("[tls]".to_owned(), "`[tls]` has no `certificate`"),
        ("tls = true".to_owned(), "`tls` is true or false; it takes a table, `[tls]`"),
        ("[tls]\ncertificate = 'file:/c'".to_owned(), "there is no `key` for this"),
        (format!("[tls]\n{pair}client_certificates = 'optional'"), "it needs `client_ca`"),
        (format!("[tls]\n{pair}client_ca = '/c'"), "which file: `file:/"),
        (format!("[tls]\n{pair}redirect_http = ':80'"), "for example `0.0.0.0:80`"),
        (format!("[tls]\n{pair}redirect_port = 0"), "from 1 to 65535"),
        (format!("[tls]\n{pair}certficate = 'x'"), "did you mean `certificate`?"),
        (format!("[tls.acme]\n{acme}domain = 'x'"), "did you mean `domains`?"),
        (format!("[tls.acme]\n{}", acme.replace("true", "false")), "has no `terms_agreed = true`"),
        (format!("[tls.acme]\n{}", acme.replace("cache", "#")), "has no `cache`"),
        (format!("[tls.acme]\n{}", acme.replace("domains", "#")), "has no `domains`"),
        (format!("[tls.acme]\n{}", acme.replace("a.ex", "*.ex")), "name each of them"),
        (format!("[tls.acme]\n{}", acme.replace("a.example", "192.0.2.1")), "leads here"),
        (format!("[tls.acme]\n{acme}contact = 'me'"), "`mailto:admin@example.com`"),
        (format!("[tls.acme]\n{acme}directory = 'http://h'"), "for example `https://acme-v02"),
    ] {
        let found = mistakes(&format!("{text}\n{LEAST}"));
        assert!(found.len() == 1 && found[0].contains(part), "{text}: {found:?}");
    }
    let found = mistakes(&format!("[tls]\ncertificate = 'file:/c'\nkey = 'hunter2'\n{LEAST}"));
    assert!(found.len() == 1 && !found[0].contains("hunter2"), "{found:?}");
}

#[test]
fn every_mistake_is_reported_at_once_with_its_line() {
    let text = r#"
listen = "nowhere"
node_timeout = "soon"
secrets = "file:/x"

[[service]]
name = "a:b"
upstream = "ftp://x"
prise = "10 sat"
auth = "maybe"
free = ["/ok", "no"]
valid_for = 30

[[service]]
host = "a/b"
"#;
    assert_eq!(
        mistakes(text),
        [
            "line 2: `listen = \"nowhere\"`: write an address and a port, for example `127.0.0.1:8402`",
            "line 3: `node_timeout = \"soon\"`: write a whole number and a unit: `250ms`, `30s`, `10m`, `24h` or `7d`",
            "line 4: `secrets` is not a key of the configuration; did you mean `secret`?",
            "line 6: service `a:b` has no `price`; write for example `price = \"10 sat\"`, or `auth = \"off\"`",
            "line 7: `name = \"a:b\"`: a service's name is 1 to 64 letters, digits, `-`, `_` or `.`",
            "line 8: `upstream = \"ftp://x\"`: write for example `http://127.0.0.1:9000`, or `unix:/run/app.sock`",
            "line 9: `prise` is not a key of [[service]]; did you mean `price`?",
            "line 10: `auth = \"maybe\"`: write `on`, `off`, or for example `freebie 10`",
            "line 11: `free = \"no\"`: a path begins with `/` and has no empty, `.` or `..` part; it is written as it reads, so without `%`, `?` and `#`; a path is written `/health`, or `/docs/*` for all below `/docs/`",
            "line 12: `valid_for` is a number without quotes; it takes a text in quotes",
            "line 14: the service has no `name`; write for example `name = \"weather\"`",
            "line 14: the service has no `upstream`; write for example `upstream = \"http://127.0.0.1:9000\"`",
            "line 14: the service has no `price`; write for example `price = \"10 sat\"`, or `auth = \"off\"`",
            "line 15: `host = \"a/b\"`: write the host's name alone, for example `api.example.com`",
        ]
    );
}

#[test]
fn a_configuration_without_a_service_is_a_mistake() {
    assert_eq!(
        mistakes(""),
        ["line 1: the configuration has no `service`; write for example `[[service]]`"]
    );
}

#[test]
fn a_price_is_an_amount_with_its_unit() {
    for (price, part) in [
        ("10", "has no unit"),
        ("1.5 sat", ""),
        ("-1 sat", ""),
        ("10 btc", "has no unit"),
        ("3000000000000000 sat", ""),
    ] {
        let text = LEAST.replace("1 sat", price);
        let found = mistakes(&text);
        assert!(found.len() == 1 && found[0].starts_with("line 4: `price = "), "{found:?}");
        assert!(found[0].contains(part), "{found:?}");
    }
    assert!(mistakes(&LEAST.replace("'1 sat'", "10"))[0].contains("without quotes"));
    let config = Config::read(&LEAST.replace("1 sat", "1500 msat")).unwrap();
    assert_eq!(config.services[0].tariff.price(), Some(Msat::from_msat(1500)));
}

#[test]
fn each_value_that_means_nothing_is_refused_with_a_remedy() {
    for (line, part) in [
        ("path = 'v1'", "a path begins with `/`"),
        ("path = '/a/../b'", "a path begins with `/`"),
        ("protocol = 'h3'", "write `h1` for HTTP/1.1 or `h2`"),
        ("ca = 'file:/x'", "no certificate will be seen"),
        ("connect_timeout = '5'", "a whole number and a unit"),
        ("valid_for = '1s'", "at least two seconds"),
        ("invoice_expiry = '10ms'", "at least one second"),
        ("strict_caveats = 'yes'", "it takes true or false"),
        ("bad_credential = '401'", "write `challenge` (402) or `refuse` (401)"),
        ("memo = 7", "it takes a text in quotes"),
        ("nmae = 'b'", "did you mean `name`?"),
        ("colour = 'red'", "known are name, host, path"),
        ("host = ['ok', 'a:80']", "write the host without its port"),
        ("host = 'regex:('", "no regular expression"),
        ("path = 'exact:v1'", "a path begins with `/`"),
        ("method = 'get'", "write a method in capitals"),
        ("eject_after = 0", "write a whole number from 1"),
        ("eject_after = '3'", "it takes a number without quotes"),
        ("check = 'healthz'", "write a path, for example `/healthz`, or `grpc`"),
        ("strip_prefix = 'v1'", "a path begins with `/`"),
        ("idle_timeout = '0s'", "longer than nothing"),
        ("body_limit = '10 MB'", "`10 MiB`"),
        ("cors = 'app.example.com'", "write origins as browsers do"),
        ("cors = ['*', 'https://a.example']", "or `*` alone"),
        ("request_headers = 'x'", "it takes a table"),
        ("request_headers = { a = 1 }", "`request_headers.a` is a number"),
        ("request_headers = { Content-Length = '1' }", "belongs to the connection"),
        ("request_headers = { a = '{KEY}' }", "name a secret as"),
        ("request_headers = { a = \"x\\ny\" }", "one line of text"),
        ("remove_response_headers = ['a b']", "no header's name"),
        ("memo = '{query}'", "in braces a memo has"),
        ("no_invoice = 'x'", "a path begins with `/`"),
        ("pricer = 'http://h'", "leave one of them out"),
        ("pricer_ca = '/x'", "`file:/path/ca.pem`"),
        ("rule = 1", "one or more `[[service.rule]]` tables"),
        ("[[service.rule]]", "the rule has no `name`"),
        ("capabilities = 'a,b'", "letters, digits"),
        ("constraints = { colour = 'red' }", "not a caveat"),
        ("constraints = { method = 1 }", "`constraints.method` is a number"),
        ("request_count = 0", "a whole number from 1"),
        ("auth = 'freebie 0'", "for example `freebie 10`"),
        ("auth = 'freebie'", "for example `freebie 10`"),
        ("auth = 'freebie 65536x'", "for example `freebie 10`"),
        ("freebie_window = '1'", "a whole number and a unit"),
        ("[[service.limit]]", "the limit has no `rate`"),
        ("[[service.limit]]\nrate = '10'", "how many in how long"),
        ("[[service.limit]]\nrate = '1/s'\nby = 'mac'", "write `ip` or `token`"),
        ("[[service.limit]]\nrate = '1/s'\nbrust = 1", "did you mean `burst`?"),
        ("[[service.rule]]\nname = 'x'\nvalid_for = '1h'", "is not a key of [[service.rule]]"),
    ] {
        let found = mistake(line);
        let at = 4 + line.lines().count();
        assert!(found.starts_with(&format!("line {at}: ")), "{line}: {found}");
        assert!(found.contains(part), "{line}: {found}");
    }
    let long = format!("memo = '{}'", "m".repeat(640));
    assert!(mistake(&long).contains("at most 639 bytes"));
}

#[test]
fn a_price_that_nobody_can_tell_is_refused() {
    let with = |line: &str| {
        let found = mistakes(&LEAST.replace("price = '1 sat'", line));
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    };
    assert!(with("price = '0.05 USD'").contains("needs `rates`"));
    assert!(with("pricer = 'ftp://h'").contains("write for example `http://127.0.0.1:9100/price`"));
    assert!(with("pricer = 'grpc://h/x'").contains("a host and a port"));
    assert!(with("auth = 'off'\n[[service.rule]]\nname = 'x'").contains("it has no rules"));
    assert!(with("rates = 1\nprice = '1 sat'").contains("`rates` is not a key of [[service]]"));
    let rates = |lines: &str| mistakes(&format!("{lines}\n{LEAST}"));
    assert!(rates("trusted_proxies = '10.0.0.0/33'")[0].contains("a network or an address"));
    assert!(rates("proxies_tell = 'xff'")[0].contains("`x-forwarded-for` or `forwarded`"));
    assert!(rates("unpaid_per_ip = '10'")[0].contains("or `off`"));
    assert!(rates("rates = 'http://h'")[0].contains("has no `rates_pointer`"));
    assert!(rates("rates = 'h'\nrates_pointer = 'x'").iter().all(|why| why.contains("write for")));
    let twice = "[[service.rule]]\nname = 'x'\n[[service.rule]]\nname = 'x'\npath = 'y'";
    let found = mistakes(&format!("{LEAST}{twice}"));
    assert!(found[0].starts_with("line 8: ") && found[0].contains("another rule"), "{found:?}");
    assert!(found[1].starts_with("line 9: ") && found[1].contains("begins with `/`"), "{found:?}");
}

#[test]
fn an_invoice_that_outlives_its_token_is_refused() {
    let found = mistakes(&format!("{LEAST}valid_for = '5m'\ninvoice_expiry = '5m'"));
    assert!(found[0].starts_with("line 6: ") && found[0].contains("make the invoice expire first"));
}

#[test]
fn services_that_cannot_be_told_apart_are_refused() {
    let other = LEAST.replace("'a'", "'b'");
    let found = mistakes(&format!("{LEAST}{other}"));
    assert_eq!(found, ["line 5: the path `/` on every host is also that of the service on line 1"]);
    let found = mistakes(&format!("{LEAST}{LEAST}path = '/b'"));
    assert_eq!(found, ["line 5: the name `a` is also that of the service on line 1"]);
    let on_host = |service: &str, hosts: &str| format!("{service}host = {hosts}\n");
    let two = on_host(LEAST, "['x', 'y']") + &on_host(&other, "['Y', 'z']");
    assert_eq!(
        mistakes(&two),
        ["line 6: the path `/` on `y` is also that of the service on line 1"]
    );
    Config::read(&(on_host(LEAST, "'x'") + &on_host(&other, "'y'"))).unwrap();
}

#[test]
fn a_service_that_somebody_else_serves_has_no_keys_of_an_upstream() {
    let none = LEAST.replace("http://h", "none");
    assert!(Config::read(&none).unwrap().services[0].upstream.is_none(), "{none}");
    let found = mistakes(&format!("{none}connect_timeout = '1s'\nbody_limit = '1 KiB'"));
    let says = "does nothing here: the service says `upstream = \"none\"`; take it out";
    let expected =
        [format!("line 5: `connect_timeout` {says}"), format!("line 6: `body_limit` {says}")];
    assert_eq!(found, expected);
}

#[test]
fn broken_toml_is_reported_with_its_line() {
    let found = mistakes("listen = \"127.0.0.1:1\"\nnode = [\n");
    assert!(found.iter().any(|mistake| mistake.starts_with("line 2: ")), "{found:?}");
    let twice = mistakes(&format!("{LEAST}price = '2 sat'"));
    assert!(twice[0].starts_with("line 5: "), "{twice:?}");
}

#[test]
fn what_could_be_a_secret_is_not_repeated() {
    for key in ["secret", "node", "old_secrets"] {
        let text = format!("{key} = 'hunter2'\n{LEAST}");
        let found = mistakes(&text);
        assert!(found.len() == 1 && !found[0].contains("hunter2"), "{found:?}");
    }
    let config = Config::read(&format!("node = 'lnd://h?macaroon=hunter2'\n{LEAST}")).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn every_key_of_a_tariff_arrives() {
    let keys = "strict_caveats = true\nbad_credential = 'refuse'\ninvoice_expiry = '90s'";
    let config = Config::read(&format!("secret = 'env:KEY'\n{LEAST}{keys}")).unwrap();
    let tariff = &config.services[0].tariff;
    assert_eq!(tariff.unknown, Unknown::Refuse);
    assert_eq!(tariff.bad_credential, BadCredential::Refuse);
    assert_eq!(tariff.invoice_expiry, Duration::from_secs(90));
    assert_eq!(config.secret, Some(SecretSource::Env("KEY".to_owned())));
}
