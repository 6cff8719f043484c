//! One of Aperture's services.

use super::write::Toml;
use super::{Keys, Notes};

/// Every key that Aperture reads in a service, in `dynamicprice`, in `rewrite` and in a rate limit.
const KNOWN: &[&str] = &[
    "name",
    "address",
    "protocol",
    "tlscertpath",
    "auth",
    "authscheme",
    "hostregexp",
    "pathregexp",
    "headers",
    "timeout",
    "capabilities",
    "constraints",
    "price",
    "dynamicprice",
    "authwhitelistpaths",
    "authskipinvoicecreationpaths",
    "ratelimits",
    "rewrite",
];
const PRICER: &[&str] =
    &["enabled", "grpcaddress", "insecure", "tlscertpath", "metered", "usagetailbytes"];
const LIMIT: &[&str] = &["pathregexp", "requests", "per", "burst"];

/// What the file says for every service.
#[derive(Clone, Copy, Debug)]
pub(super) struct All {
    /// `strictverify`.
    pub(super) strict: bool,
    /// `authenticator.enablempp`.
    pub(super) mpp: bool,
}

pub(super) fn write(mut keys: Keys, all: All, toml: &mut Toml, notes: &mut Notes) {
    toml.begin("service");
    let limits = keys.tables("ratelimits");
    if let Some(name) = keys.text("name") {
        toml.text("name", &name);
    }
    for (key, ours) in [("hostregexp", "host"), ("pathregexp", "path")] {
        match keys.text(key) {
            Some(written) if !matches!(written.as_str(), ".*" | "^.*$") => {
                toml.text(ours, &format!("regex:{}", whole(&written)));
            }
            _ => {}
        }
    }
    upstream(&mut keys, toml, notes);
    let asks = auth(&mut keys, toml, notes);
    schemes(&mut keys, all.mpp, asks, toml, notes);
    price(&mut keys, asks, toml, notes);
    tokens(&mut keys, all.strict, toml, notes);
    headers(&mut keys, toml, notes);
    for (key, ours) in
        [("authwhitelistpaths", "free"), ("authskipinvoicecreationpaths", "no_invoice")]
    {
        let paths: Vec<String> =
            keys.texts(key).iter().map(|path| format!("regex:{}", whole(path))).collect();
        toml.texts(ours, &paths);
    }
    let mut rewrite = keys.table("rewrite");
    if let Some(prefix) = rewrite.text("prefix") {
        toml.text("add_prefix", &prefix);
    }
    rewrite.end(&["prefix"], notes);
    keys.end(KNOWN, notes);
    for limit in limits {
        write_limit(limit, toml, notes);
    }
}

/// Aperture's expressions match anywhere; ours match the whole.
fn whole(written: &str) -> String {
    format!("(?s:.*)(?:{written})(?s:.*)")
}

fn upstream(keys: &mut Keys, toml: &mut Toml, notes: &mut Notes) {
    let place = keys.name("protocol");
    let protocol = keys.text("protocol").unwrap_or_default();
    let cert = keys.text("tlscertpath");
    if let Some(address) = keys.text("address") {
        let scheme = if protocol == "https" { "https" } else { "http" };
        toml.text("upstream", &format!("{scheme}://{address}"));
    }
    match (protocol.as_str(), cert) {
        ("https", Some(cert)) => {
            toml.text("ca", &format!("file:{cert}"));
            notes.add(
                place,
                "Aperture does not verify its upstream's certificate; this is verified",
            );
        }
        ("https", None) => notes.add(
            place,
            "Aperture does not verify its upstream's certificate; here a public authority has to \
             vouch for it, or `ca` has to name one",
        ),
        ("http", _) => {}
        (other, _) => notes.add(place, format!("`{other}` is no protocol; `http` was written")),
    }
}

/// Returns whether the service asks for money.
fn auth(keys: &mut Keys, toml: &mut Toml, notes: &mut Notes) -> bool {
    let place = keys.name("auth");
    let written = keys.text("auth").unwrap_or_default().to_ascii_lowercase();
    match written.as_str() {
        "" | "on" | "true" => true,
        "off" | "false" => {
            toml.text("auth", "off");
            false
        }
        other => {
            let number = other.strip_prefix("freebie ").and_then(|n| n.trim().parse::<u32>().ok());
            match number.filter(|number| *number > 0) {
                Some(number) => {
                    toml.text("auth", &format!("freebie {number}"));
                    notes.add(place, "freebies come back here after `freebie_window`, a day");
                }
                None => notes.add(
                    place,
                    format!("Aperture takes `{other}` for `off` and asks nobody to pay; this asks"),
                ),
            }
            true
        }
    }
}

/// In which ways it can be paid. Aperture looks for the words anywhere in the value, takes both without
/// one, and looks at none of this without `enablempp`.
fn schemes(keys: &mut Keys, mpp: bool, asks: bool, toml: &mut Toml, notes: &mut Notes) {
    let (place, written) = (keys.name("authscheme"), keys.text("authscheme"));
    if !(mpp && asks) {
        return;
    }
    let named: Vec<String> = ["l402", "mpp"]
        .into_iter()
        .filter(|scheme| written.as_ref().is_none_or(|written| written.contains(scheme)))
        .map(str::to_owned)
        .collect();
    match (named.is_empty(), written) {
        (true, Some(other)) => notes.add(place, format!("`{other}` is no scheme; `l402` is used")),
        _ => toml.texts("schemes", &named),
    }
}

fn price(keys: &mut Keys, asks: bool, toml: &mut Toml, notes: &mut Notes) {
    let mut pricer = keys.table("dynamicprice");
    let price = keys.text("price");
    let (dynamic, insecure) = (pricer.flag("enabled"), pricer.flag("insecure"));
    let address = pricer.text("grpcaddress");
    let cert = pricer.text("tlscertpath");
    if pricer.flag("metered") {
        notes
            .add(pricer.name("metered"), "requests are not metered here; a token opens any number");
    }
    match (dynamic, address) {
        _ if !asks => {}
        (true, Some(address)) => {
            let scheme = if insecure { "grpc" } else { "grpcs" };
            toml.text("pricer", &format!("{scheme}://{address}"));
            if let Some(cert) = cert.filter(|_| !insecure) {
                toml.text("pricer_ca", &format!("file:{cert}"));
            }
            notes.add(
                pricer.name("grpcaddress"),
                "the pricer is sent method, path and host, and neither other headers nor the body",
            );
        }
        (true, None) => notes.add(pricer.name("grpcaddress"), "is missing; there is no price"),
        (false, _) => {
            let sats = price.unwrap_or_else(|| "0".to_owned());
            if sats == "0" {
                notes.add(
                    keys.name("price"),
                    "Aperture takes a price of 0 for 1 sat, and so does this",
                );
            }
            toml.text("price", &format!("{} sat", if sats == "0" { "1" } else { &sats }));
        }
    }
    pricer.end(PRICER, notes);
}

fn tokens(keys: &mut Keys, strict: bool, toml: &mut Toml, notes: &mut Notes) {
    if let Some(seconds) = keys.text("timeout").filter(|seconds| seconds != "0") {
        toml.text("valid_for", &format!("{seconds}s"));
    }
    if let Some(written) = keys.text("capabilities") {
        let names: Vec<String> = written.split(',').map(|name| name.trim().to_owned()).collect();
        toml.texts("capabilities", &names);
    }
    let place = keys.name("constraints");
    let (ours, others): (Vec<_>, Vec<_>) =
        keys.pairs("constraints").into_iter().partition(|(condition, value)| {
            let probe = crate::Tariff::off("probe").and_then(|t| t.constraint(condition, value));
            probe.is_ok()
        });
    toml.pairs("constraints", &ours);
    for (condition, _) in others {
        let text = "Aperture puts it into tokens and never checks it; here only what is checked is \
                    put in";
        notes.add(format!("{place}.{condition}"), text);
    }
    if strict {
        toml.raw("strict_settlement", "true");
    }
}

fn headers(keys: &mut Keys, toml: &mut Toml, notes: &mut Notes) {
    let place = keys.name("headers");
    let mut headers = Vec::new();
    for (name, value) in keys.pairs("headers") {
        match header(&value) {
            Some(value) => headers.push((name, value)),
            None => notes.add(
                format!("{place}.{name}"),
                "its value cannot be written here; `{env:NAME}`, `{file:/path}`, \
                 `{file+hex:/path}` and `{file+base64:/path}` name secrets",
            ),
        }
    }
    toml.pairs("request_headers", &headers);
}

/// Aperture's ways to name a secret, in ours.
fn header(value: &str) -> Option<String> {
    let is_file = |file: &&str| file.starts_with("file+hex:") || file.starts_with("file+base64:");
    if let Some(file) = value.strip_prefix('!').filter(is_file) {
        return Some(file.to_owned());
    }
    let mut ours = String::new();
    let mut rest = value;
    while let Some((text, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}')?;
        ours.push_str(text);
        ours.push_str(&format!("{{env:{name}}}"));
        rest = after;
    }
    let plain = value.replace("${", "").matches(['{', '}']).count();
    let variables = value.matches("${").count();
    (plain == variables).then(|| ours + rest)
}

fn write_limit(mut keys: Keys, toml: &mut Toml, notes: &mut Notes) {
    toml.begin("service.limit");
    let (requests, per) = (keys.text("requests"), keys.text("per"));
    match (requests, per) {
        (Some(requests), Some(per)) => toml.text("rate", &format!("{requests}/{per}")),
        _ => notes.add(keys.name("requests"), "a limit needs `requests` and `per`"),
    }
    if let Some(burst) = keys.text("burst").filter(|burst| burst != "0") {
        toml.raw("burst", &burst);
    }
    toml.text("by", "token");
    if let Some(path) = keys.text("pathregexp") {
        toml.text("path", &format!("regex:{}", whole(&path)));
    }
    keys.end(LIMIT, notes);
}
