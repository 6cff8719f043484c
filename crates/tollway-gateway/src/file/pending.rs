//! What a new configuration says that only a new start can do: these things are held for as long as the
//! process lives. Everything else of it is in force at once.

use crate::config::{Config, Patience, Records, Tls};

/// The keys whose values are not those that the process was `started` with, by name. `doors`: the
/// listeners beside the one that sells follow the configuration.
///
/// Each field is named here: whoever adds one to the configuration says what becomes of a change.
pub(super) fn pending(started: &Config, new: &Config, doors: bool) -> Vec<&'static str> {
    let Config {
        listen,
        admin,
        node,
        secret,
        old_secrets,
        patience: Patience { node: node_timeout, header: header_timeout, stop: stop_timeout },
        store,
        records: Records { timeout: store_timeout, bills, keep_unpaid, keep_paid },
        tls,
        authorize,
        metrics,
        // In force at once.
        proxies: _,
        blocked: _,
        unpaid: _,
        rates: _,
        discovery: _,
        traces: _,
        services: _,
    } = new;
    let (patience, records) = (&started.patience, &started.records);
    let changed = [
        ("listen", *listen != started.listen),
        ("admin", *admin != started.admin),
        ("node", *node != started.node),
        ("secret", *secret != started.secret),
        ("old_secrets", *old_secrets != started.old_secrets),
        ("node_timeout", *node_timeout != patience.node),
        ("header_timeout", *header_timeout != patience.header),
        ("stop_timeout", *stop_timeout != patience.stop),
        ("store", *store != started.store),
        ("store_timeout", *store_timeout != records.timeout),
        ("record_bills", *bills != records.bills),
        ("keep_unpaid", *keep_unpaid != records.keep_unpaid),
        ("keep_paid", *keep_paid != records.keep_paid),
        ("tls.redirect_http", plain(tls) != plain(&started.tls)),
        ("metrics", !doors && *metrics != started.metrics),
        ("authorize", !doors && *authorize != started.authorize),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

/// Where plain HTTP is sent away from.
fn plain(tls: &Option<Tls>) -> Option<std::net::SocketAddr> {
    tls.as_ref().and_then(|tls| tls.redirect_http)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KEYS;

    const REST: &str = "trusted_proxies = '10.0.0.0/8'\nrates = 'http://r'\nrates_pointer = '/r'\n";
    const SERVICE: &str = "[[service]]\nname='a'\nupstream='http://h'\nauth='off'\n";
    const TLS: &str = "[tls]\ncertificate = 'file:/c'\nkey = 'file:/k'\n";

    /// The keys of which another value waits for the next start, with that value.
    const LATER: [(&str, &str); 16] = [
        ("listen", "'127.0.0.1:1'"),
        ("admin", "'127.0.0.1:1'"),
        ("node", "'lnd:x'"),
        ("secret", "'file:/s'"),
        ("old_secrets", "'file:/s'"),
        ("node_timeout", "'1s'"),
        ("header_timeout", "'1s'"),
        ("stop_timeout", "'1s'"),
        ("store", "'sqlite:/g.db'"),
        ("store_timeout", "'1s'"),
        ("record_bills", "false"),
        ("keep_unpaid", "'1s'"),
        ("keep_paid", "'1s'"),
        // Where nobody looks after the listeners.
        ("metrics", "'127.0.0.1:1'"),
        ("authorize", "'127.0.0.1:1'"),
        ("tls.redirect_http", "'127.0.0.1:1'"),
    ];
    /// Those that are in force at once.
    const NOW: [(&str, &str); 16] = [
        ("trusted_proxies", "'192.0.2.0/24'"),
        ("proxies_tell", "'forwarded'"),
        ("proxy_protocol", "true"),
        ("blocked", "'192.0.2.0/24'"),
        ("unpaid_per_ip", "'1/1h'"),
        ("unpaid_total", "'1/1h'"),
        ("unpaid_shared", "true"),
        ("rates", "'http://other'"),
        ("rates_pointer", "'/other'"),
        ("rates_ca", "'file:/ca'"),
        ("rates_refresh", "'1s'"),
        ("rates_max_age", "'1h'"),
        ("discovery", "[]"),
        ("traces", "{ endpoint = 'http://c/v1/traces', sample = '1%' }"),
        ("tls", "{ certificate = 'file:/other', key = 'file:/k' }"),
        ("service", "[{ name = 'b', upstream = 'http://h', auth = 'off' }]"),
    ];

    /// A configuration that says this of a key.
    fn with(key: &str, value: &str) -> Config {
        let mut lines: Vec<String> = REST
            .lines()
            .filter(|line| !line.starts_with(&format!("{key} ")))
            .map(Into::into)
            .collect();
        let mut tables = vec![SERVICE, TLS];
        match key {
            "service" => drop(tables.remove(0)),
            "tls" => drop(tables.remove(1)),
            _ => {}
        }
        let mut tables = tables.concat();
        match key.strip_prefix("tls.") {
            Some(key) => tables.push_str(&format!("{key} = {value}\n")),
            None => lines.push(format!("{key} = {value}\n")),
        }
        let text = format!("{}\n{tables}", lines.join("\n"));
        Config::read(&text).unwrap_or_else(|mistakes| panic!("{text}: {mistakes}"))
    }

    #[test]
    fn each_key_is_in_force_at_once_or_named() {
        let started = Config::read(&format!("{REST}{SERVICE}{TLS}")).unwrap();
        assert_eq!(pending(&started, &started, false), Vec::<&str>::new());
        for (key, value) in LATER {
            assert_eq!(pending(&started, &with(key, value), false), [key]);
        }
        for (key, value) in NOW {
            assert_eq!(pending(&started, &with(key, value), false), Vec::<&str>::new(), "{key}");
        }
        for key in KEYS {
            let known = LATER.iter().chain(&NOW).any(|(known, _)| known == key);
            assert!(known, "what becomes of a change of `{key}`?");
        }
        for (key, value) in [("metrics", "'127.0.0.1:1'"), ("authorize", "'127.0.0.1:1'")] {
            assert_eq!(pending(&started, &with(key, value), true), Vec::<&str>::new(), "{key}");
        }
    }
}
