//! curl's flags that cannot be had here, or that need nothing: known by name, so that nobody's
//! script is obeyed in part. Those of protocols that are not spoken at all are unknown, as any word.

use clap::{Arg, ArgAction, ArgMatches};

use super::AskError;

/// A flag that is refused.
struct Refused {
    long: &'static str,
    short: Option<char>,
    /// Whether a value stands behind it.
    value: bool,
    flag: &'static str,
    remedy: &'static str,
}

const fn no(
    flag: &'static str,
    long: &'static str,
    short: Option<char>,
    value: bool,
    remedy: &'static str,
) -> Refused {
    Refused { long, short, value, flag, remedy }
}

const PROXY_AUTH: &str = "a proxy is told name and password by basic authentication";
const HTTP_AUTH: &str = "give `--user` for basic authentication, or `--oauth2-bearer`";
const OLD_TLS: &str = "TLS 1.2 and 1.3 are spoken; nothing older keeps a proof of payment secret";
const SYSTEM_DNS: &str =
    "names are looked up by the system; give `--resolve` or `--proxy socks5h://…`";
const RUSTLS: &str = "the ciphers of rustls are used, all of which are sound";

static REFUSED: &[Refused] = &[
    no("--next", "next", Some(':'), false, "run the command once more for the other URLs"),
    no("--http1.0", "http1.0", Some('0'), false, "give `--http1.1`"),
    no("--http0.9", "http0.9", None, false, "such an answer has no head, and asks for no payment"),
    no("--http3", "http3", None, false, "leave it out: HTTP 1.1 and 2 are spoken"),
    no("--http3-only", "http3-only", None, false, "leave it out: HTTP 1.1 and 2 are spoken"),
    no("--anyauth", "anyauth", None, false, HTTP_AUTH),
    no("--digest", "digest", None, false, HTTP_AUTH),
    no("--negotiate", "negotiate", None, false, HTTP_AUTH),
    no("--ntlm", "ntlm", None, false, HTTP_AUTH),
    no("--aws-sigv4", "aws-sigv4", None, true, "sign the request beforehand, and give `--header`"),
    no("--proxy-anyauth", "proxy-anyauth", None, false, PROXY_AUTH),
    no("--proxy-digest", "proxy-digest", None, false, PROXY_AUTH),
    no("--proxy-ntlm", "proxy-ntlm", None, false, PROXY_AUTH),
    no("--proxy-negotiate", "proxy-negotiate", None, false, PROXY_AUTH),
    no("--preproxy", "preproxy", None, true, "one proxy is gone through; give `--proxy`"),
    no("--doh-url", "doh-url", None, true, SYSTEM_DNS),
    no("--dns-servers", "dns-servers", None, true, SYSTEM_DNS),
    no("--dns-interface", "dns-interface", None, true, SYSTEM_DNS),
    no("--tlsv1.0", "tlsv1.0", None, false, OLD_TLS),
    no("--tlsv1.1", "tlsv1.1", None, false, OLD_TLS),
    no("--sslv2", "sslv2", Some('2'), false, OLD_TLS),
    no("--sslv3", "sslv3", Some('3'), false, OLD_TLS),
    no("--ciphers", "ciphers", None, true, RUSTLS),
    no("--tls13-ciphers", "tls13-ciphers", None, true, RUSTLS),
    no("--curves", "curves", None, true, RUSTLS),
    no(
        "--crlfile",
        "crlfile",
        None,
        true,
        "no revocation list is read; pin the key by `--pinnedpubkey`",
    ),
    no("--pass", "pass", None, true, "take the passphrase off the key, and keep it 0600"),
    no("--cert-type", "cert-type", None, true, "certificates and keys are PEM"),
    no("--key-type", "key-type", None, true, "certificates and keys are PEM"),
    no("--engine", "engine", None, true, "keys are read from files"),
    no(
        "--expect100-timeout",
        "expect100-timeout",
        None,
        true,
        "`Expect: 100-continue` is not waited for",
    ),
    no(
        "--rate",
        "rate",
        None,
        true,
        "several URLs are asked one after the other, or with `--parallel-max`",
    ),
    no(
        "--proto",
        "proto",
        None,
        true,
        "only http and https are spoken, and https never leads to http",
    ),
    no(
        "--proto-redir",
        "proto-redir",
        None,
        true,
        "a redirect leads to http or https, and never from https to http",
    ),
    no("--proto-default", "proto-default", None, true, "write the scheme before the URL"),
    no("--tr-encoding", "tr-encoding", None, false, "give `--compressed`"),
    no(
        "--path-as-is",
        "path-as-is",
        None,
        false,
        "a path with `..` has two readings, and is never sent",
    ),
    no(
        "--request-target",
        "request-target",
        None,
        true,
        "the target is the URL's, by which tokens are kept",
    ),
    no(
        "--ignore-content-length",
        "ignore-content-length",
        None,
        false,
        "such an answer has no end that can be told",
    ),
    no("--raw", "raw", None, false, "chunks are always put together"),
    no("--haproxy-protocol", "haproxy-protocol", None, false, "connect to the server without it"),
    no("--abstract-unix-socket", "abstract-unix-socket", None, true, "give `--unix-socket`"),
    no(
        "--local-port",
        "local-port",
        None,
        true,
        "the system chooses ports; `--interface` chooses the address",
    ),
    no(
        "--alt-svc",
        "alt-svc",
        None,
        true,
        "another server is another origin, with tokens of its own",
    ),
    no("--hsts", "hsts", None, true, "write `https://`"),
    no("--stderr", "stderr", None, true, "redirect it in the shell"),
    no("--libcurl", "libcurl", None, true, "leave it out"),
    no("--xattr", "xattr", None, false, "give `--receipt FILE`, which says where it came from"),
    no("--variable", "variable", None, true, "expand it in the shell"),
    no("--ftp-pasv", "ftp-pasv", None, false, "only http and https are spoken"),
];

/// Flags that ask for what is done anyway.
static NEEDLESS: &[(&str, Option<char>)] = &[
    ("globoff", Some('g')),
    ("disable", Some('q')),
    ("no-buffer", Some('N')),
    ("progress-bar", Some('#')),
    ("basic", None),
    ("proxy-basic", None),
    ("clobber", None),
    ("tcp-nodelay", None),
    ("no-keepalive", None),
    ("parallel-immediate", None),
    ("no-location", None),
    ("no-sessionid", None),
];

/// Makes them all known.
pub(crate) fn define(mut command: clap::Command) -> clap::Command {
    for refused in REFUSED {
        let action = if refused.value { ArgAction::Append } else { ArgAction::Count };
        let arg = Arg::new(refused.flag).long(refused.long).action(action).hide(true);
        let arg = if refused.value { arg.allow_hyphen_values(true) } else { arg };
        command = command.arg(with_short(arg, refused.short));
    }
    for (long, short) in NEEDLESS {
        let arg = Arg::new(*long).long(*long).action(ArgAction::Count).hide(true);
        command = command.arg(with_short(arg, *short));
    }
    command
}

fn with_short(arg: Arg, short: Option<char>) -> Arg {
    match short {
        Some(short) => arg.short(short),
        None => arg,
    }
}

/// Refuses the first that was given.
pub(crate) fn check(args: &ArgMatches) -> Result<(), AskError> {
    let is_given = |refused: &&Refused| match refused.value {
        true => args.contains_id(refused.flag),
        false => args.get_count(refused.flag) > 0,
    };
    match REFUSED.iter().find(is_given) {
        Some(Refused { flag, remedy, .. }) => Err(AskError::Refused { flag, remedy }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_refused_by_its_name_and_with_a_remedy() {
        for refused in REFUSED {
            let flag = format!("--{}", refused.long);
            let mut line = vec!["get", &flag];
            line.extend(refused.value.then_some("x"));
            let args = define(clap::Command::new("get")).try_get_matches_from(line).unwrap();
            let error = check(&args).unwrap_err().to_string();
            assert!(error.contains(&flag) && error.len() > flag.len() + 25, "{error}");
        }
    }

    #[test]
    fn what_is_done_anyway_may_be_asked_for() {
        let line = ["get", "-gqN#", "--basic", "--clobber"];
        let args = define(clap::Command::new("get")).try_get_matches_from(line).unwrap();
        assert!(check(&args).is_ok());
    }
}
