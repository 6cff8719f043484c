//! The command line as a whole, folded from the table of commands: a command named `token inspect`
//! becomes the subcommand `inspect` of `token`.

use clap::{Arg, ArgMatches, ValueEnum, value_parser};

use crate::command::{COMMANDS, Command, GROUPS};

/// In which form a command's own output is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object, for programs.
    Json,
}

const AFTER_HELP: &str = "\
Examples:
  tollway demo                                  watch one payment, on a private network
  tollway get --node purse:/run/purse.sock URL  buy a page
  tollway serve --config gateway.toml           sell one

Exit codes:
  0 got it            1 something else failed    2 wrong usage
  3 payment failed    4 network                  5 refused, or paid in vain
  7 may have paid     8 over a limit             9 payment needed and not tried
 10 would pay        11 offer not trusted       22 HTTP status 400 or above, with --fail";

/// Builds the command line from [`COMMANDS`].
pub(crate) fn define() -> clap::Command {
    let mut root = clap::Command::new("tollway")
        .about("Sell and buy HTTP APIs for bitcoin over Lightning")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100)
        .after_help(AFTER_HELP)
        .arg(
            Arg::new("format")
                .long("format")
                .global(true)
                .value_name("FORMAT")
                .help("How to print the command's own output")
                .value_parser(value_parser!(Format))
                .default_value("text"),
        );
    for group in GROUPS {
        let mut command = clap::Command::new(group.name)
            .about(group.about)
            .subcommand_required(true)
            .arg_required_else_help(true);
        for entry in COMMANDS {
            if let Some((name, leaf)) = entry.name().split_once(' ')
                && name == group.name
            {
                command = command.subcommand(entry.define(clap::Command::new(leaf)));
            }
        }
        root = root.subcommand(command);
    }
    for entry in COMMANDS.iter().filter(|entry| !entry.name().contains(' ')) {
        root = root.subcommand(entry.define(clap::Command::new(entry.name())));
    }
    root
}

/// The chosen command and its own arguments.
pub(crate) fn find(matches: &ArgMatches) -> (&'static dyn Command, &ArgMatches) {
    let (mut name, mut args) = step(matches).expect("a subcommand is required");
    if let Some((leaf, inner)) = step(args) {
        name = format!("{name} {leaf}");
        args = inner;
    }
    let found = COMMANDS.iter().find(|command| command.name() == name);
    (*found.expect("every subcommand comes from the table"), args)
}

/// What `--format` says.
pub(crate) fn format(matches: &ArgMatches) -> Format {
    let (_, args) = find(matches);
    args.get_one("format").copied().unwrap_or_default()
}

fn step(matches: &ArgMatches) -> Option<(String, &ArgMatches)> {
    matches.subcommand().map(|(name, args)| (name.to_owned(), args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        define().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example() {
        for command in COMMANDS {
            let defined = command.define(clap::Command::new("x"));
            assert!(defined.get_about().is_some(), "{} has no about", command.name());
            let help = defined.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = format!("tollway {}", command.name());
            assert!(help.contains(&example), "{} shows no example", command.name());
        }
    }

    #[test]
    fn every_group_has_a_command_and_every_command_its_group() {
        for command in COMMANDS {
            if let Some((group, _)) = command.name().split_once(' ') {
                assert!(GROUPS.iter().any(|known| known.name == group), "{group}");
            }
        }
        for group in GROUPS {
            let of_group = format!("{} ", group.name);
            assert!(COMMANDS.iter().any(|command| command.name().starts_with(&of_group)));
        }
    }
}
