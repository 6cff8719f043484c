//! The one binary. `main` reads the process's surroundings and prints, a command decides, and the
//! exit code is a value: see [`exit::Exit`] for what each number means.

mod admin;
mod caveat_words;
mod cli;
mod command;
mod demo;
mod discover;
mod exit;
mod external;
mod failure;
mod fetch;
mod files;
mod flags;
mod log;
mod node;
mod nodes;
mod output;
mod pay;
mod proxy;
mod rates;
mod secrets;
mod serve;
mod settings;
mod shell;
mod signal;
mod table;
mod terminal;
mod token_text;
mod told;
mod utc;

use std::process::ExitCode;
use std::time::Instant;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::shell::Shell;

fn main() -> ExitCode {
    let started = Instant::now();
    let matches = match cli::arguments(std::env::args_os().collect()) {
        Ok(args) => cli::define().try_get_matches_from(args),
        Err(unreadable) => {
            let shell = Shell::from_process(started, cli::Format::Text);
            let failure = Failure::from(unreadable);
            let exit = Exit::of(&failure);
            shell.report(&failure, exit);
            return exit.into();
        }
    };
    let matches = match matches {
        Ok(matches) => matches,
        Err(usage) => return usage_exit(&usage),
    };
    let shell = Shell::from_process(started, cli::format(&matches));
    let ended = run(&shell, &matches).and_then(|output| {
        shell.print(&output).map_err(Failure::Stdout)?;
        Ok(output.exit())
    });
    let exit = ended.unwrap_or_else(|failure| {
        let exit = Exit::of(&failure);
        if exit != Exit::Ok {
            shell.report(&failure, exit);
        }
        exit
    });
    exit.into()
}

fn run(shell: &Shell, matches: &clap::ArgMatches) -> Result<output::Output, Failure> {
    let (command, args) = cli::find(matches);
    let mut builder = match command.serves() {
        true => tokio::runtime::Builder::new_multi_thread(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|source| Failure::Io { what: "starting the program's threads".into(), source })?;
    let result = runtime.block_on(command.run(args, shell));
    // A blocked read of a terminal's stdin must not keep the process from ending.
    runtime.shutdown_background();
    result
}

/// `--help` and `--version` are answers, on stdout; anything else here is a usage error.
fn usage_exit(usage: &clap::Error) -> ExitCode {
    let printed = usage.print();
    match printed {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Exit::General.into(),
        _ if usage.use_stderr() => Exit::Usage.into(),
        _ => Exit::Ok.into(),
    }
}
