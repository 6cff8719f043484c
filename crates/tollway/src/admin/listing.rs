//! The flags of lists, and lists as tables for spreadsheets.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use super::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::escape;

// Which part of a list is wanted.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Listing {
    /// From this day or time on, in UTC: `2026-11-21` or `2026-11-21T08:00:00Z`
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,

    /// Until the end of this day, or before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,

    /// Only this service
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,

    /// At most so many, up to 1000; 100 unless told
    #[arg(long, value_name = "NUMBER", conflicts_with = "csv")]
    pub(crate) limit: Option<u32>,

    /// Go on where a page ended: its `next`
    #[arg(long, value_name = "CURSOR", conflicts_with = "csv")]
    pub(crate) cursor: Option<String>,

    /// Print all of it as comma-separated values
    #[arg(long)]
    pub(crate) csv: bool,
}

impl Listing {
    /// The path to ask for, with what the flags say and `more`.
    pub(crate) fn path(&self, path: &str, more: &[(&str, Option<&str>)]) -> String {
        let limit = self.limit.map(|limit| limit.to_string());
        let own = [
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("service", self.service.as_deref()),
            ("limit", limit.as_deref()),
            ("cursor", self.cursor.as_deref()),
            ("format", self.csv.then_some("csv")),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (key, value) in own.iter().chain(more) {
            if let Some(value) = value {
                query.append_pair(key, value);
            }
        }
        match query.finish() {
            query if query.is_empty() => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }
}

/// Says how to go on, when there is more.
pub(crate) fn say_next(shell: &Shell, json: &Value) {
    if let Some(next) = json["next"].as_str() {
        shell.say(&format!("hint: there is more; go on with `--cursor {}`", escape(next)));
    }
}

/// Prints a table as it comes.
pub(crate) async fn print_csv(client: &Client, path: &str) -> Result<Output, Failure> {
    client.stream(path, |piece| std::io::stdout().write_all(piece)).await?;
    std::io::stdout().flush().map_err(Failure::Stdout)?;
    Ok(Output::nothing())
}
