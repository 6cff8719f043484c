//! What a caveat means, in words. What it does is decided in `l402::caveat`.

use std::time::{Duration, SystemTime};

use l402::caveat::{CAVEATS, split};

use crate::utc;

/// One caveat, explained.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    /// The caveat as it may be shown: a preimage in it is not.
    pub(crate) shown: String,
    /// What it means to a server that knows it.
    pub(crate) meaning: String,
    /// Whether we know its condition.
    pub(crate) known: bool,
}

/// Explains one caveat; `None` stands for one that is not text. Both fields may quote the token,
/// which is hostile.
pub(crate) fn explain(caveat: Option<&str>, now: SystemTime) -> Words {
    let unknown = |shown: &str, meaning: &str| Words {
        shown: shown.to_owned(),
        meaning: meaning.to_owned(),
        known: false,
    };
    let Some(text) = caveat else {
        return unknown("(not text)", "a third party's caveat: no L402 server can clear it");
    };
    let Some((condition, value)) = split(text) else {
        return unknown(
            text,
            "not of the form condition=value: servers skip it, strict ones refuse",
        );
    };
    match CAVEATS.iter().find(|kind| kind.knows(condition)) {
        None => unknown(text, "not known here: servers that do not know it skip it, unless strict"),
        Some(_) if condition == "preimage" => Words {
            shown: "preimage=(secret)".to_owned(),
            meaning: "carries its proof of payment: whoever has this token can use it".to_owned(),
            known: true,
        },
        Some(kind) => Words {
            shown: text.to_owned(),
            meaning: meaning(kind.condition(), condition, value, now),
            known: true,
        },
    }
}

fn meaning(kind: &str, condition: &str, value: &str, now: SystemTime) -> String {
    let service = condition.strip_suffix(kind.trim_start_matches("<service>")).unwrap_or_default();
    let list = value.replace(',', ", ");
    match kind {
        "services" => format!("opens only (service:tier) {list}"),
        "<service>_capabilities" => format!("at {service}, may only {list}"),
        "<service>_valid_until" => format!("at {service}, until {}", moment(value, now)),
        "method" => format!("only with the method {}", value.replace(',', " or ")),
        "path_prefix" => format!("only at {value} and below"),
        "client_ip" => format!("only from {}", value.replace(',', " or ")),
        "not_before" => format!("not before {}", moment(value, now)),
        "request_count" => format!("at most {value} requests in all"),
        _ => "known here; see `tollway token attenuate --help`".to_owned(),
    }
}

/// Unix seconds as a date.
fn moment(value: &str, now: SystemTime) -> String {
    let seconds = value.parse().ok().filter(|_| value.bytes().all(|byte| byte.is_ascii_digit()));
    let time = seconds
        .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    match time {
        Some(time) => format!("{} ({})", utc::date(time), utc::distance(time, now)),
        None => format!("`{value}`, which is no time: it opens nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn every_known_condition_has_words_of_its_own() {
        for kind in CAVEATS {
            let caveat = format!("{}=1", kind.condition().replace("<service>", "weather"));
            let words = explain(Some(&caveat), at(0));
            assert!(words.known, "{caveat}");
            assert!(!words.meaning.starts_with("known here"), "{caveat} has no words");
        }
    }

    #[test]
    fn a_time_is_a_date_and_a_distance() {
        let words = explain(Some("weather_valid_until=7200"), at(0));
        assert_eq!(words.meaning, "at weather, until 1970-01-01T02:00:00Z (in 2 hours)");
        let words = explain(Some("weather_valid_until=+5"), at(0));
        assert_eq!(words.meaning, "at weather, until `+5`, which is no time: it opens nothing");
    }

    #[test]
    fn a_preimage_is_never_shown() {
        let words = explain(Some(&format!("preimage={}", "ab".repeat(32))), at(0));
        assert_eq!(words.shown, "preimage=(secret)");
        assert!(!format!("{words:?}").contains("abab"));
    }
}
