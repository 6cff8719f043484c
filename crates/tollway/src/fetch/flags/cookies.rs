//! Cookies: some for the command line's hosts, the others in a jar, which is a file as Netscape's
//! browser wrote it and curl does.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use clap::Args;
use cookie_store::CookieStore;
use http::HeaderValue;
use tollway_client::Cookies;
use url::Url;

use super::{AskError, read_text};

#[derive(Debug, Args)]
#[command(next_help_heading = "Cookies")]
pub(crate) struct CookieFlags {
    /// `NAME=VALUE; ...` to send to the hosts of the command line, or a jar to send from
    #[arg(short = 'b', long, value_name = "DATA|FILE")]
    cookie: Vec<String>,

    /// Write all cookies into this jar at the end; `-` is stdout
    #[arg(short = 'c', long, value_name = "FILE")]
    cookie_jar: Option<PathBuf>,

    /// Leave out cookies of a jar that were to last for one session only
    #[arg(short = 'j', long)]
    junk_session_cookies: bool,
}

/// The cookies of one command.
#[derive(Debug)]
pub(crate) struct Jar {
    store: Mutex<CookieStore>,
    /// What the command line gives.
    literal: Vec<String>,
    /// Its hosts.
    hosts: Vec<String>,
    /// Where the jar is written to.
    file: Option<PathBuf>,
}

impl CookieFlags {
    /// The jar, when there is anything to do with one.
    pub(crate) fn read(&self, urls: &[Url]) -> Result<Option<Arc<Jar>>, AskError> {
        if self.cookie.is_empty() && self.cookie_jar.is_none() {
            return Ok(None);
        }
        let mut store = CookieStore::default();
        let mut literal = Vec::new();
        for given in &self.cookie {
            if given.contains('=') {
                HeaderValue::from_str(given).map_err(|_| AskError::Secret {
                    flag: "--cookie",
                    problem: "a cookie is one line of plain characters",
                })?;
                literal.push(given.clone());
            } else if !given.is_empty() {
                let text = read_text("--cookie", Path::new(given))?;
                text.lines().for_each(|line| self.load(&mut store, line));
            }
        }
        let hosts = urls.iter().filter_map(Url::host_str).map(str::to_owned).collect();
        let file = self.cookie_jar.clone();
        Ok(Some(Arc::new(Jar { store: Mutex::new(store), literal, hosts, file })))
    }

    /// One line of a jar. What is none is passed over, as curl does.
    fn load(&self, store: &mut CookieStore, line: &str) {
        let (line, http_only) = match line.strip_prefix("#HttpOnly_") {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        let fields: Vec<_> = line.split('\t').collect();
        let [domain, whole_domain, path, secure, expires, name, value] = fields[..] else { return };
        let Ok(expires) = expires.parse::<u64>() else { return };
        if line.starts_with('#') || expires == 0 && self.junk_session_cookies {
            return;
        }
        let host = domain.trim_start_matches('.');
        let Ok(url) = Url::parse(&format!("https://{host}{path}")) else { return };
        let mut cookie = format!("{name}={value}; Path={path}");
        if whole_domain.eq_ignore_ascii_case("true") {
            let _ = write!(cookie, "; Domain={host}");
        }
        if secure.eq_ignore_ascii_case("true") {
            cookie.push_str("; Secure");
        }
        if http_only {
            cookie.push_str("; HttpOnly");
        }
        if let Some(at) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(expires))
            && expires > 0
        {
            let _ = write!(cookie, "; Expires={}", httpdate::fmt_http_date(at));
        }
        // One that has expired is not kept, and that is no mistake of anybody.
        let _ = store.parse(&cookie, &url);
    }
}

impl Jar {
    /// Writes the jar where it is to be written.
    pub(crate) fn save(&self) -> Result<(), AskError> {
        let Some(file) = &self.file else { return Ok(()) };
        let text = self.text();
        let written = if file == Path::new("-") {
            std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())
        } else {
            private(file).and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
        };
        written.map_err(|source| AskError::Unreadable {
            flag: "--cookie-jar",
            path: file.display().to_string(),
            source,
        })
    }

    fn text(&self) -> String {
        let store = self.store.lock().expect("nothing panics under this lock");
        let mut text = "# Netscape HTTP Cookie File\n\n".to_owned();
        for cookie in store.iter_unexpired() {
            let (domain, whole) = match &cookie.domain {
                cookie_store::CookieDomain::Suffix(domain) => (format!(".{domain}"), "TRUE"),
                cookie_store::CookieDomain::HostOnly(host) => (host.clone(), "FALSE"),
                cookie_store::CookieDomain::NotPresent | cookie_store::CookieDomain::Empty => {
                    continue;
                }
            };
            let expires = match cookie.expires {
                cookie_store::CookieExpiration::AtUtc(at) => at.unix_timestamp(),
                cookie_store::CookieExpiration::SessionEnd => 0,
            };
            let yes = |set: Option<bool>| if set.unwrap_or(false) { "TRUE" } else { "FALSE" };
            let http_only = if cookie.http_only().unwrap_or(false) { "#HttpOnly_" } else { "" };
            let path: &str = &cookie.path;
            let secure = yes(cookie.secure());
            let (name, value) = cookie.name_value();
            let _ = writeln!(
                text,
                "{http_only}{domain}\t{whole}\t{path}\t{secure}\t{expires}\t{name}\t{value}"
            );
        }
        text
    }
}

impl Cookies for Jar {
    fn for_url(&self, url: &Url) -> Option<HeaderValue> {
        let mut line = String::new();
        let mut add = |text: &str| {
            if !line.is_empty() {
                line.push_str("; ");
            }
            line.push_str(text);
        };
        let store = self.store.lock().expect("nothing panics under this lock");
        store.get_request_values(url).for_each(|(name, value)| add(&format!("{name}={value}")));
        if url.host_str().is_some_and(|host| self.hosts.iter().any(|known| known == host)) {
            self.literal.iter().for_each(|literal| add(literal));
        }
        let mut value = HeaderValue::try_from(line).ok().filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }

    fn received(&self, url: &Url, lines: &mut dyn Iterator<Item = &HeaderValue>) {
        let mut store = self.store.lock().expect("nothing panics under this lock");
        for line in lines {
            if let Ok(line) = line.to_str() {
                // A cookie that may not be set is dropped.
                let _ = store.parse(line, url);
            }
        }
    }
}

/// A file that only its owner can read: whoever has a session's cookie has the session.
fn private(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(cookie: &[&str], url: &str) -> Arc<Jar> {
        let cookie = cookie.iter().map(|&text| text.to_owned()).collect();
        let flags =
            CookieFlags { cookie, cookie_jar: Some("-".into()), junk_session_cookies: false };
        flags.read(&[url.parse().unwrap()]).unwrap().unwrap()
    }

    fn sent(jar: &Jar, url: &str) -> String {
        let value = jar.for_url(&url.parse().unwrap());
        value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn a_cookie_of_the_command_line_goes_to_its_hosts_only() {
        let jar = jar(&["a=1; b=2"], "https://a.example/");
        assert_eq!(sent(&jar, "https://a.example/x"), "a=1; b=2");
        assert_eq!(sent(&jar, "https://b.example/x"), "");
    }

    #[test]
    fn a_jar_that_was_written_is_read_again() {
        let first = jar(&[], "https://a.example/");
        let lines = [
            "one=1; Path=/x; Max-Age=3600; Secure",
            "two=2; Domain=a.example; HttpOnly",
            "gone=3; Max-Age=0",
            "others=4; Domain=b.example",
        ]
        .map(HeaderValue::from_static);
        first.received(&"https://www.a.example/x/y".parse().unwrap(), &mut lines.iter());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), first.text()).unwrap();

        let again = jar(&[file.path().to_str().unwrap()], "https://a.example/");
        assert_eq!(again.text().lines().count(), 4, "{}", again.text());
        assert_eq!(sent(&again, "https://www.a.example/x/z").len(), "one=1; two=2".len());
        assert_eq!(sent(&again, "https://other.a.example/x"), "two=2");
        assert_eq!(sent(&again, "http://www.a.example/x"), "two=2", "secure means https");
        assert_eq!(sent(&again, "https://b.example/"), "");
    }
}
