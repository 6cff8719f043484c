//! What the commands for administrators have in common: how they reach the gateway, what they ask it
//! for, and how its lists are shown.

mod client;
mod credential;
mod listing;
mod table;

use std::fmt;

use clap::Args;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::shell::Shell;

pub(crate) use client::{AskError, Client, Refusal, path};
pub(crate) use credential::{hand_out, read_credential, until};
pub(crate) use listing::{Listing, print_csv, say_next};
pub(crate) use table::{Table, amount, text, yes};

// How to reach a gateway as its administrator.
#[derive(Args, Clone, Debug)]
pub(crate) struct Door {
    /// Where the gateway is administered: `http://127.0.0.1:8403` or `unix:/path`, as its `admin` says
    #[arg(long, value_name = "URL", env = "TOLLWAY_ADMIN")]
    admin: Option<String>,

    /// Where the credential is that `tollway admin bake` made: `file:/path` or `env:NAME`
    #[arg(long, value_name = "SOURCE", env = "TOLLWAY_ADMIN_CREDENTIAL", hide_env_values = true)]
    credential: Option<String>,
}

impl Door {
    /// Ready to ask. Nothing is connected yet.
    pub(crate) fn open(&self, shell: &Shell) -> Result<Client, AskError> {
        let url = self.admin.as_deref().ok_or(AskError::NoAdmin)?;
        let source = self.credential.as_deref().ok_or(AskError::NoCredential)?;
        Client::new(url, read_credential(source, shell)?)
    }
}

/// What the gateway said: for programs as it came, for people as a text.
pub(crate) struct Report {
    pub(crate) json: Value,
    pub(crate) text: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}
