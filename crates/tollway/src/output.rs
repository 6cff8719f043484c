//! What a command has to say: one value, rendered as text or as JSON.

use std::fmt::Display;

use serde::Serialize;
use serde_json::Value;

use crate::exit::Exit;

/// The output of a command.
#[derive(Debug)]
pub(crate) struct Output {
    rendered: Option<(String, Value)>,
    exit: Exit,
    is_list: bool,
}

impl Output {
    /// A report that renders itself both ways. Its `Display` escapes what others have written.
    pub(crate) fn new(report: &(impl Display + Serialize)) -> Self {
        let json = serde_json::to_value(report).expect("reports have string keys only");
        Self { rendered: Some((report.to_string(), json)), exit: Exit::Ok, is_list: false }
    }

    /// A list: with one JSON object on a line it is one line for each of its items.
    pub(crate) fn list(report: impl Display + Serialize) -> Self {
        Self { is_list: true, ..Self::new(&report) }
    }

    /// Whether it is a list.
    pub(crate) const fn is_list(&self) -> bool {
        self.is_list
    }

    /// Nothing more than what the command has printed already.
    pub(crate) const fn nothing() -> Self {
        Self { rendered: None, exit: Exit::Ok, is_list: false }
    }

    /// The same, ending with another number than 0.
    pub(crate) fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// How the process ends.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// For people, when there is something to say. Ends without a line break.
    pub(crate) fn text(&self) -> Option<&str> {
        self.rendered.as_ref().map(|(text, _)| text.trim_end_matches('\n'))
    }

    /// For programs, to be part of something larger.
    pub(crate) fn into_json(self) -> Value {
        self.rendered.map(|(_, json)| json).unwrap_or_default()
    }

    /// For programs, when there is something to say.
    pub(crate) fn json(&self) -> Option<&Value> {
        self.rendered.as_ref().map(|(_, json)| json)
    }
}
