//! What may reach a terminal. Text from servers, tokens and invoices is hostile: a control character
//! in it could move the cursor, change the title or hide what was printed.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use l402::Secret;

/// Talk that matters less.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Something went right.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Something went wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// A name or a value to look at.
pub(crate) const KEY: Style = AnsiColor::Cyan.on_default();
/// A heading.
pub(crate) const STRONG: Style = Style::new().bold();

/// Whether a character does something other than stand on the line where it is printed: controls
/// of both sets, line and paragraph separators, and the invisible ones that reorder text.
pub(crate) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Shows hostile characters as `\u{1b}` instead of sending them.
pub(crate) fn escape(text: &str) -> String {
    escape_except(text, &[])
}

/// The same, but lets a few through.
pub(crate) fn escape_except(text: &str, harmless: &[char]) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) && !harmless.contains(&c) {
            write!(safe, "\\u{{{:x}}}", u32::from(c)).expect("a String takes everything");
        } else {
            safe.push(c);
        }
    }
    safe
}

/// JSON on one line, in which nothing is hostile: `serde_json` escapes the first set of controls
/// only. Outside of strings JSON is plain ASCII, so every other one stands in a string.
pub(crate) fn escape_json(value: &serde_json::Value) -> String {
    let mut safe = String::new();
    for c in value.to_string().chars() {
        if is_hostile(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(safe, "\\u{unit:04x}").expect("a String takes everything");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Text in a style, escaped. On something that is no terminal the stream strips the style.
pub(crate) fn paint(style: Style, text: impl fmt::Display) -> String {
    format!("{style}{}{style:#}", escape(&text.to_string()))
}

/// Whether somebody sits there who can be asked.
pub(crate) fn somebody_sits_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks whoever sits there, and reads one line. What is hostile in the question has been escaped.
pub(crate) async fn ask(question: String) -> io::Result<String> {
    in_its_thread(move || {
        let mut stderr = anstream::stderr();
        write!(stderr, "{question}").and_then(|()| stderr.flush())?;
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    })
    .await
}

/// Lets whoever sits there agree to something; every answer but yes is a no. The error is why it is
/// not agreed to.
pub(crate) async fn agree(question: String) -> Result<(), &'static str> {
    let answer = ask(format!("{question} [y/N] ")).await;
    match answer.as_deref().map(str::trim) {
        Ok("y" | "Y" | "yes") => Ok(()),
        Ok(_) => Err("the answer was no"),
        Err(_) => Err("the terminal gave no answer"),
    }
}

/// Asks whoever sits there for a secret, and does not show what is typed. What is hostile in the
/// question has been escaped.
pub(crate) async fn ask_secret(question: String) -> io::Result<Secret<String>> {
    in_its_thread(move || rpassword::prompt_password(question).map(Secret::new)).await
}

/// Whoever types takes time.
async fn in_its_thread<T: Send + 'static>(
    conversation: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let ended = tokio::task::spawn_blocking(conversation).await;
    ended.unwrap_or_else(|broken| Err(io::Error::other(broken)))
}

/// The beginning and the end of something long, for people.
pub(crate) fn shorten(text: &str) -> String {
    let safe = escape(text);
    let count = safe.chars().count();
    if count <= 24 {
        return safe;
    }
    let head: String = safe.chars().take(12).collect();
    let tail: String = safe.chars().skip(count - 6).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hostile_is_sent_as_it_is() {
        let hostile = "a\x1b[2Jb\u{9b}31m\u{202e}c\nd\u{7f}é";
        let safe = escape(hostile);
        assert_eq!(safe, "a\\u{1b}[2Jb\\u{9b}31m\\u{202e}c\\u{a}d\\u{7f}é");
        assert!(!safe.chars().any(is_hostile));
    }

    #[test]
    fn escaped_json_is_the_same_value() {
        let value = serde_json::json!({ "k\u{202e}": "a\u{9b}\u{7f}\x1b\u{e0001}é" });
        let text = escape_json(&value);
        assert!(!text.chars().any(is_hostile), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn only_long_texts_are_shortened() {
        assert_eq!(shorten("lnbcrt100n1p"), "lnbcrt100n1p");
        assert_eq!(shorten(&"0123456789".repeat(5)), "012345678901…456789");
    }
}
