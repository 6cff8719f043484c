//! `tollway token attenuate`: narrows a token. Anybody who holds one can; nobody can widen it again.

use std::fmt;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::Token;
use serde::Serialize;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;
use crate::token_text;

/// `tollway token attenuate`.
#[derive(Debug)]
pub(crate) struct TokenAttenuate;

#[derive(Args)]
struct Arguments {
    /// The token, `token:preimage`, or a header line that has one; `-` reads stdin
    token: String,
    /// What to add, `condition=value`
    #[arg(required = true)]
    caveat: Vec<String>,
}

const AFTER_HELP: &str = "\
Prints the narrowed token and never a preimage. The preimage stays the same: whoever is to use the
token needs it too.

Conditions that Tollway's gateway knows:
  services=name:tier,...            only these services
  <service>_capabilities=a,b        only these capabilities there
  <service>_valid_until=UNIXTIME    until then
  not_before=UNIXTIME               not before then
  method=GET,HEAD                   only these methods
  path_prefix=/v1/weather           only there and below
  client_ip=192.0.2.0/24            only from there
  request_count=100                 so many requests in all

Examples:
  tollway token attenuate AgEEbHNhdAJCAAA... method=GET path_prefix=/weather
  tollway token attenuate - weather_valid_until=$(date -d '+1 hour' +%s) < token.txt";

#[async_trait]
impl Command for TokenAttenuate {
    fn name(&self) -> &'static str {
        "token attenuate"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Narrow a token, before it is given to somebody else";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, _shell: &Shell) -> Result<Output, Failure> {
        let arguments: Arguments = read(args);
        let found = token_text::from_argument(&arguments.token)?;
        let mut macaroons = found.token.macaroons().ok_or(Failure::NotAMacaroon)?;
        let [macaroon] = macaroons.as_mut_slice() else {
            return Err(Failure::SeveralMacaroons(macaroons.len()));
        };
        for caveat in &arguments.caveat {
            macaroon.narrow(caveat)?;
        }
        let token = Token::from_macaroon(macaroon);
        Ok(Output::new(&Report { token: token.as_str().to_owned(), added: arguments.caveat }))
    }
}

#[derive(Serialize)]
struct Report {
    /// The narrowed token, in standard base64.
    token: String,
    added: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.token)
    }
}
