//! `tollway import`: a configuration of Aperture becomes one of ours.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use serde::Serialize;
use tollway_gateway::import;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::escape;

/// `tollway import`.
#[derive(Debug)]
pub(crate) struct Import;

#[derive(Args)]
struct Arguments {
    /// The configuration of Aperture
    #[arg(value_name = "FILE", default_value = "aperture.yaml")]
    file: PathBuf,
}

const AFTER_HELP: &str = "\
The configuration goes to stdout, and what could not be carried over, key by key, to stderr: what has no
counterpart, what means something else here, and what Aperture ignores because it is misspelt.

Examples:
  tollway import aperture.yaml > gateway.toml
  tollway serve --config gateway.toml --check";

#[async_trait]
impl Command for Import {
    fn name(&self) -> &'static str {
        "import"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Write a gateway's configuration from one of Aperture";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let file = read::<Arguments>(args).file;
        let failed = |source| Failure::Io { what: format!("reading {}", file.display()), source };
        let yaml = std::fs::read_to_string(&file).map_err(failed)?;
        let imported = import::aperture(&yaml)
            .map_err(|why| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, why)))?;
        let notes: Vec<Line> = imported
            .notes
            .into_iter()
            .map(|note| Line { key: note.key, text: note.text })
            .collect();
        for note in &notes {
            shell.say(&format!("{}: {}", escape(&note.key), escape(&note.text)));
        }
        Ok(Output::new(&Report { toml: imported.toml, notes }))
    }
}

#[derive(Serialize)]
struct Report {
    toml: String,
    notes: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    key: String,
    text: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.toml)
    }
}
