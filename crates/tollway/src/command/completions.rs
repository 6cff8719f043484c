//! `tollway completions` and `tollway man`: what shells and `man` are told about this program, made
//! from the same definitions that read its command line.

use std::io::Write;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use clap_complete::Shell as Language;

use crate::cli;
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;

/// `tollway completions`.
#[derive(Debug)]
pub(crate) struct Completions;

/// `tollway man`.
#[derive(Debug)]
pub(crate) struct Man;

#[derive(Args)]
struct CompletionsArguments {
    /// For which shell
    #[arg(value_name = "SHELL")]
    language: Language,

    /// Complete this name: `tollway`, or `tget` for a link of that name
    #[arg(long, value_name = "NAME", default_value = "tollway", value_parser = ["tollway", "tget"])]
    name: String,
}

#[derive(Args)]
struct ManArguments {
    /// The page of this command, as `get` or `tokens list`; of the program unless given
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,

    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    folder: Option<PathBuf>,
}

#[async_trait]
impl Command for Completions {
    fn name(&self) -> &'static str {
        "completions"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let after = "Examples:\n  tollway completions bash > ~/.local/share/bash-completion/completions/tollway\n  \
                     tollway completions zsh > ~/.zfunc/_tollway\n  tollway completions fish --name tget";
        let about = "Write what a shell needs to complete our flags";
        CompletionsArguments::augment_args(command).about(about).after_help(after)
    }

    async fn run(&self, args: &ArgMatches, _: &Shell) -> Result<Output, Failure> {
        let CompletionsArguments { language, name } = read(args);
        let mut command = match name.as_str() {
            "tget" => page(&["get".to_owned()])?,
            _ => cli::define(),
        };
        // Kept whole first: a closed pipe must not be a panic.
        let mut script = Vec::new();
        clap_complete::generate(language, &mut command, name, &mut script);
        std::io::stdout().write_all(&script).map_err(Failure::Stdout)?;
        Ok(Output::nothing())
    }
}

#[async_trait]
impl Command for Man {
    fn name(&self) -> &'static str {
        "man"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let after = "Examples:\n  tollway man | man -l -\n  tollway man get | man -l -\n  \
                     tollway man --folder ~/.local/share/man/man1";
        ManArguments::augment_args(command).about("Write a manual page").after_help(after)
    }

    async fn run(&self, args: &ArgMatches, _: &Shell) -> Result<Output, Failure> {
        let ManArguments { command, folder } = read(args);
        let Some(folder) = folder else {
            let text = render(page(&command)?).map_err(Failure::Stdout)?;
            std::io::stdout().write_all(&text).map_err(Failure::Stdout)?;
            return Ok(Output::nothing());
        };
        let failed =
            |source| Failure::Io { what: format!("writing in `{}`", folder.display()), source };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        write_all(cli::define(), "tollway", &folder).map_err(failed)?;
        Ok(Output::nothing())
    }
}

/// The definition of one command, under its whole name.
fn page(words: &[String]) -> Result<clap::Command, Failure> {
    let mut command = cli::define();
    let mut name = "tollway".to_owned();
    let exits = cli::EXIT_CODES;
    for word in words {
        let found = command.find_subcommand(word).cloned();
        command = found.ok_or_else(|| Failure::NoCommand(words.join(" ")))?;
        name.push('-');
        name.push_str(word);
    }
    Ok(with_exits(command, exits).bin_name(name.clone()).display_name(name))
}

/// Every page says what the numbers mean.
fn with_exits(command: clap::Command, exits: &str) -> clap::Command {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    match after.contains("Exit codes:") {
        true => command,
        false => command.after_help(format!("{after}\n\n{exits}")),
    }
}

fn render(command: clap::Command) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    Ok(text)
}

fn write_all(command: clap::Command, name: &str, folder: &Path) -> std::io::Result<()> {
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        write_all(inner.clone(), &format!("{name}-{}", inner.get_name()), folder)?;
    }
    let named = with_exits(command, cli::EXIT_CODES);
    let named = named.bin_name(name).display_name(name);
    std::fs::write(folder.join(format!("{name}.1")), render(named)?)
}
