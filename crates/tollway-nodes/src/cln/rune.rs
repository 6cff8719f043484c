//! What a rune allows, read from the rune itself: base64 of 32 bytes of authentication and then its
//! restrictions, `a&b`, each of alternatives, `x|y`, each a field, a condition and a value. Only what
//! is said about the method is decided here; the rest the node decides call by call.

use base64::Engine;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use l402::Secret;

use crate::watched::Unusable;

/// Either alphabet's runes are padded or not, depending on who wrote them.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What somebody needs who plays this part.
#[derive(Debug)]
pub(super) struct Part {
    methods: &'static [&'static str],
    /// What it goes faster with, and can be played without.
    helps: &'static [&'static str],
}

pub(super) static BUYER: Part = Part { methods: &["getinfo", "pay", "listpays"], helps: &[] };
pub(super) static SELLER: Part =
    Part { methods: &["getinfo", "invoice", "listinvoices"], helps: &[LISTEN] };
/// Whoever looks at the node's money and changes nothing.
pub(super) static OBSERVER: Part = Part {
    methods: &["getinfo", "listfunds", "listpeerchannels", "listpays", "listinvoices"],
    helps: &[],
};
/// Whoever opens and closes channels and sends coins: all the node has can be given away with it.
static OWNER: Part = Part {
    methods: &[
        "getinfo",
        "newaddr",
        "connect",
        "fundchannel",
        "close",
        "listpeerchannels",
        "withdraw",
    ],
    helps: &[],
};
/// The method that tells of payments.
const LISTEN: &str = "waitanyinvoice";
/// Restrictions by which the node counts calls.
const COUNTED: &[&str] = &["rate", "per"];
/// Methods that can empty the node or let others do it.
const WIDE: &[&str] = &["withdraw", "fundchannel", "close", "createrune", "stop"];

impl Part {
    /// The part that calls this method.
    pub(super) fn that_calls(method: &str) -> &'static Self {
        let parts = [&BUYER, &SELLER, &OBSERVER, &OWNER];
        let calls = |part: &&&Self| part.methods.contains(&method);
        parts.iter().find(calls).copied().unwrap_or(&SELLER)
    }

    /// Makes a rune for exactly what is needed.
    pub(super) fn command(&self) -> String {
        let methods: Vec<String> =
            self.methods.iter().chain(self.helps).map(|m| format!(r#""method={m}""#)).collect();
        format!("lightning-cli createrune restrictions='[[{}]]'", methods.join(","))
    }
}

/// A rune, as it goes into a request, and its restrictions.
#[derive(Debug)]
pub(super) struct Rune {
    pub(super) text: Secret<String>,
    restrictions: Vec<Vec<Alternative>>,
}

#[derive(Debug)]
struct Alternative {
    field: String,
    condition: char,
    value: String,
}

impl Rune {
    /// The command for what is lacking for that part, or nothing if nothing is.
    pub(super) fn lacks(&self, part: &Part) -> Option<String> {
        let lacks = !part.methods.iter().all(|method| self.may(method));
        lacks.then(|| part.command())
    }

    /// The commands for smaller ones, if it can empty the node.
    pub(super) fn too_wide(&self) -> Option<String> {
        WIDE.iter().any(|method| self.may(method)).then(|| {
            let (buyer, seller) = (BUYER.command(), SELLER.command());
            format!("A smaller one to pay: {buyer}. A smaller one to be paid: {seller}")
        })
    }

    /// Whether the node may be asked to tell of payments. Where calls are counted, they are left for
    /// what somebody waits for.
    pub(super) fn may_listen(&self) -> bool {
        let counted = |a: &Alternative| COUNTED.contains(&a.field.as_str());
        self.may(LISTEN) && !self.restrictions.iter().flatten().any(counted)
    }

    fn may(&self, method: &str) -> bool {
        self.restrictions.iter().all(|any| any.iter().any(|a| a.may(method)))
    }
}

impl Alternative {
    /// Whether it can hold for a call of this method.
    fn may(&self, method: &str) -> bool {
        match (self.field.as_str(), self.condition) {
            ("method", '=') => method == self.value,
            ("method", '/') => method != self.value,
            ("method", '^') => method.starts_with(&self.value),
            ("method", '$') => method.ends_with(&self.value),
            ("method", '~') => method.contains(&self.value),
            ("method", '!') => false,
            _ => true,
        }
    }
}

/// A rune's file.
pub(super) fn read(file: &[u8]) -> Result<Rune, Unusable> {
    let text = std::str::from_utf8(file).map_err(|_| "is no rune")?.trim();
    let bytes = LENIENT.decode(text).map_err(|_| "is no rune: it is not base64")?;
    let (_authentication, rest) =
        bytes.split_at_checked(32).ok_or("is no rune: it is too short")?;
    let rest = std::str::from_utf8(rest).map_err(|_| "is no rune: its restrictions are no text")?;
    let text = Secret::new(text.to_owned());
    Ok(Rune {
        text,
        restrictions: restrictions(rest).ok_or("has a restriction without a condition")?,
    })
}

fn restrictions(text: &str) -> Option<Vec<Vec<Alternative>>> {
    let all = split(text, '&').into_iter();
    all.map(|any| split(&any, '|').iter().map(|one| alternative(one)).collect()).collect()
}

/// Splits where the separator is not escaped. The escapes stay.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == separator && !escaped {
            parts.push(String::new());
            continue;
        }
        escaped = c == '\\' && !escaped;
        parts.last_mut().expect("there is always one").push(c);
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn alternative(text: &str) -> Option<Alternative> {
    let at = text.find(|c: char| c.is_ascii_punctuation() && c != '_')?;
    let (field, rest) = text.split_at(at);
    let condition = rest.chars().next()?;
    let mut value = String::new();
    let mut escaped = false;
    for c in rest.chars().skip(1) {
        escaped = c == '\\' && !escaped;
        if !escaped {
            value.push(c);
        }
    }
    Some(Alternative { field: field.to_owned(), condition, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rune(restrictions: &str) -> Rune {
        let bytes = [&[7; 32][..], restrictions.as_bytes()].concat();
        read(format!("{}\n", LENIENT.encode(bytes)).as_bytes()).unwrap()
    }

    #[test]
    fn a_rune_allows_what_its_restrictions_leave() {
        for (restrictions, pays, is_paid) in [
            ("", true, true),
            ("=3", true, true),
            ("=3&method=getinfo|method=pay|method=listpays", true, false),
            ("=3&method^list|method^get|method=invoice", false, true),
            ("=3&method/pay", false, true),
            ("=3&method!", false, false),
            ("=3&method=getinfo&time<1", false, false),
            ("=3&method=x|rate=60", true, true),
            (r"=3&method=a\|method=pay", false, false),
        ] {
            let rune = rune(restrictions);
            let may = [rune.lacks(&BUYER).is_none(), rune.lacks(&SELLER).is_none()];
            assert_eq!(may, [pays, is_paid], "{restrictions}");
        }
    }

    #[test]
    fn a_node_is_listened_to_where_the_rune_allows_it_and_counts_no_calls() {
        for (restrictions, may) in [
            ("", true),
            ("=3&method=invoice|method=listinvoices|method=waitanyinvoice", true),
            ("=3&method^wait|method=invoice&time<9999999999", true),
            ("=3&method=invoice|method=listinvoices|method=getinfo", false),
            ("=3&rate=60", false),
            ("=3&method=pay|per=1sec", false),
        ] {
            assert_eq!(rune(restrictions).may_listen(), may, "{restrictions}");
        }
    }

    #[test]
    fn what_is_lacking_is_said_as_a_command() {
        assert_eq!(
            rune("=3&method=invoice").lacks(&BUYER).unwrap(),
            r#"lightning-cli createrune restrictions='[["method=getinfo","method=pay","method=listpays"]]'"#
        );
        let seller = rune("=3&method=pay").lacks(&SELLER).unwrap();
        assert!(seller.contains(r#""method=listinvoices","method=waitanyinvoice"]]"#), "{seller}");
    }

    #[test]
    fn what_is_no_rune_is_refused() {
        for text in ["", "?", "AAAA", "////"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(!format!("{:?}", rune("=3")).contains("BwcH"));
    }
}
