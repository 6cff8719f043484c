//! How much may be spent where, over which time.

use std::fmt;
use std::time::SystemTime;

use l402::Msat;
use serde::{Deserialize, Serialize};

use crate::policy::amount;
use crate::policy::hosts::HostPattern;
use crate::policy::window::Window;

/// At most so much, routing included, over some time, at some hosts. What is held for payments whose
/// end is not known counts as spent, in every window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Limit {
    /// How much, in millisatoshi.
    pub most: Msat,
    /// Over which time.
    pub per: Window,
    /// Where.
    pub of: Scope,
}

/// Which payments a limit counts together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    #[default]
    All,
    /// Those to one host: each host has a limit of its own, of that size.
    EachHost,
    /// Those to these hosts.
    Hosts(HostPattern),
}

/// A limit as it stands in a configuration: `most = "1000 sat"`, `per = "day"`, and `host` or
/// `each_host = true` where it is not for all.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(with = "amount")]
    most: Msat,
    #[serde(default = "ever")]
    per: Window,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<HostPattern>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    each_host: bool,
}

fn ever() -> Window {
    Window::Ever
}

/// What may still be spent under one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name, where the wallet itself keeps the limit.
    pub name: Option<String>,
    /// The limit.
    pub limit: Limit,
    /// Which host's account it is, where each has its own.
    pub host: Option<String>,
    /// What was spent within the window, in millisatoshi.
    pub spent: Msat,
    /// What is set aside for payments without a known end, in millisatoshi.
    pub held: Msat,
    /// When everything that counts now counts no more; `None` where that is never, or moves on.
    pub until: Option<SystemTime>,
}

/// A limit does not allow it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked} is asked (fee limit included), and of {limit} {left} is left{}", behind(.clock_is_behind))]
pub struct OverLimit {
    /// Which limit.
    pub limit: Limit,
    /// What was asked for, with the most that routing may cost.
    pub asked: Msat,
    /// What the limit still allows.
    pub left: Msat,
    /// Whether the clock shows an earlier time than the wallet's last payment was made at: windows
    /// then stay as they were at that payment.
    pub clock_is_behind: bool,
}

fn behind(is: &bool) -> &'static str {
    match is {
        true => {
            "; the clock is behind the wallet's last payment, and a window opens anew when it has caught up, or by a reset of the budget"
        }
        false => "",
    }
}

impl Limit {
    /// At most `most` for all payments, over that time.
    pub const fn new(most: Msat, per: Window) -> Self {
        Self { most, per, of: Scope::All }
    }

    /// The same for each host by itself.
    #[must_use]
    pub fn each_host(self) -> Self {
        Self { of: Scope::EachHost, ..self }
    }

    /// The same for those hosts only.
    #[must_use]
    pub fn hosts(self, hosts: HostPattern) -> Self {
        Self { of: Scope::Hosts(hosts), ..self }
    }

    /// Whether a payment to `host` counts here.
    pub fn counts(&self, host: &str) -> bool {
        match &self.of {
            Scope::All | Scope::EachHost => true,
            Scope::Hosts(hosts) => hosts.covers(host),
        }
    }
}

impl Account {
    /// What may still be spent, in millisatoshi.
    pub fn left(&self) -> Msat {
        let gone = self.spent.checked_add(self.held).unwrap_or(Msat::SUPPLY);
        self.limit.most.checked_sub(gone).unwrap_or(Msat::ZERO)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.most)?;
        match self.per {
            Window::Ever => {}
            Window::Rolling(_) => write!(f, " ({})", self.per)?,
            per => write!(f, " per {per}")?,
        }
        match &self.of {
            Scope::All => Ok(()),
            Scope::EachHost => f.write_str(" at each host"),
            Scope::Hosts(hosts) => write!(f, " at {hosts}"),
        }
    }
}

impl TryFrom<Written> for Limit {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        let Written { most, per, host, each_host } = written;
        let of = match (host, each_host) {
            (None, false) => Scope::All,
            (None, true) => Scope::EachHost,
            (Some(hosts), false) => Scope::Hosts(hosts),
            (Some(_), true) => {
                return Err("a limit has `host` or `each_host = true`, not both");
            }
        };
        Ok(Self { most, per, of })
    }
}

impl From<Limit> for Written {
    fn from(limit: Limit) -> Self {
        let Limit { most, per, of } = limit;
        let each_host = of == Scope::EachHost;
        let host = match of {
            Scope::Hosts(hosts) => Some(hosts),
            Scope::All | Scope::EachHost => None,
        };
        Self { most, per, host, each_host }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_reads_back_as_it_was_written() {
        for text in [
            r#"{"most":"1000 sat","per":"day"}"#,
            r#"{"most":"1500 msat","per":"rolling 6h","host":"*.example.com"}"#,
            r#"{"most":"10 sat","per":"ever","each_host":true}"#,
        ] {
            let limit: Limit = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&limit).unwrap(), text);
        }
    }

    #[test]
    fn a_limit_that_means_nothing_is_refused() {
        for bad in [
            r#"{"per":"day"}"#,
            r#"{"most":1000}"#,
            r#"{"most":"10 sat","per":"fortnight"}"#,
            r#"{"most":"10 sat","host":"a.example","each_host":true}"#,
            r#"{"most":"10 sat","hosts":"a.example"}"#,
        ] {
            assert!(serde_json::from_str::<Limit>(bad).is_err(), "{bad}");
        }
    }
}
