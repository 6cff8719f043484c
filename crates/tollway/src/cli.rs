//! The command line as a whole, folded from the table of commands: a command named `token inspect`
//! becomes the subcommand `inspect` of `token`.

use std::ffi::OsString;
use std::path::Path;

use clap::{Arg, ArgMatches, ValueEnum, value_parser};

use crate::command::{COMMANDS, Command, GROUPS};
use crate::fetch::curlrc;
use crate::fetch::flags::AskError;

/// In which form a command's own output is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object, for programs.
    Json,
    /// JSON objects, one on a line, each as soon as it is there.
    Ndjson,
}

/// Commands that are meant where only the group's name is typed.
static USUAL: &[(&str, &str)] =
    &[("tokens", "list"), ("receipts", "list"), ("budget", "show"), ("config", "show")];

const EXAMPLES: &str = "\
Examples:
  tollway demo                                  watch one payment, on a private network
  tollway get --node purse:/run/purse.sock URL  buy a page
  tollway serve --config gateway.toml           sell one";

/// What the numbers mean, for the help and for every manual page.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0 got it            1 something else failed    2 wrong usage
  3 payment failed    4 network                  5 refused, or paid in vain
  6 asked too often   7 may have paid            8 over a limit
  9 payment needed and not tried                10 would pay
 11 offer not trusted                           28 took too long
 22 HTTP status 400 or above, with --fail; 401 and 403 are 5, 429 is 6";

/// The arguments as they are to be read: called as `tget` this program is `tollway get`, and what
/// `-K` names stands in its place.
pub(crate) fn arguments(given: Vec<OsString>) -> Result<Vec<OsString>, AskError> {
    let mut given = given.into_iter();
    let called = given.next().unwrap_or_else(|| OsString::from("tollway"));
    let mut args = vec![called];
    let name = Path::new(&args[0]).file_stem().unwrap_or_default();
    if name == "tget" {
        args.push(OsString::from("get"));
    }
    args.extend(given);
    let Some(at) = command_at(&args) else { return Ok(args) };
    if let Some((_, leaf)) = USUAL.iter().find(|(group, _)| args[at] == *group) {
        let next = args.get(at + 1).and_then(|word| word.to_str()).unwrap_or("--");
        if next.starts_with('-') && !matches!(next, "-h" | "--help") {
            args.insert(at + 1, OsString::from(leaf));
        }
    }
    if args[at] == "get" {
        return curlrc::expand(args);
    }
    Ok(args)
}

/// Where the command stands: behind the flag that may come before it.
fn command_at(args: &[OsString]) -> Option<usize> {
    let mut at = 1;
    while let Some(word) = args.get(at)?.to_str().filter(|word| word.starts_with('-')) {
        at += if word == "--format" { 2 } else { 1 };
    }
    Some(at)
}

/// Builds the command line from [`COMMANDS`].
pub(crate) fn define() -> clap::Command {
    let mut root = clap::Command::new("tollway")
        .about("Sell and buy HTTP APIs for bitcoin over Lightning")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100)
        .after_help(format!("{EXAMPLES}\n\n{EXIT_CODES}"))
        .arg(
            Arg::new("format")
                .long("format")
                .global(true)
                .value_name("FORMAT")
                .help("How to print the command's own output")
                .value_parser(value_parser!(Format))
                .default_value("text"),
        );
    for entry in COMMANDS.iter().filter(|entry| !entry.name().contains(' ')) {
        root = root.subcommand(entry.define(clap::Command::new(entry.name())));
    }
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
    fn a_name_and_a_flag_before_the_command_change_nothing() {
        let read = |line: &[&str]| {
            let given = line.iter().map(OsString::from).collect();
            let args = arguments(given).unwrap();
            args.into_iter().skip(1).map(|arg| arg.into_string().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(read(&["/usr/bin/tget", "-s", "URL"]), ["get", "-s", "URL"]);
        assert_eq!(read(&["tollway", "tokens"]), ["tokens", "list"]);
        assert_eq!(
            read(&["tollway", "--format", "json", "budget"]),
            ["--format", "json", "budget", "show"]
        );
        assert_eq!(read(&["tollway", "tokens", "show", "x"]), ["tokens", "show", "x"]);
        assert_eq!(read(&["tollway", "tokens", "--help"]), ["tokens", "--help"]);
        assert_eq!(read(&["tollway"]), [""; 0]);
        assert!(
            arguments(vec![
                "tollway".into(),
                "--format=json".into(),
                "get".into(),
                "-K".into(),
                "/nowhere".into()
            ])
            .is_err()
        );
    }

    #[test]
    fn the_command_line_is_sound() {
        define().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example() {
        let mut known = std::collections::HashMap::new();
        for command in COMMANDS {
            let defined = command.define(clap::Command::new("x"));
            let about = defined.get_about().map(ToString::to_string);
            let about = about.unwrap_or_else(|| panic!("{} has no about", command.name()));
            // A doc comment on flags that commands share would take the place of what each says itself.
            let leaf = |name: &'static str| name.rsplit(' ').next().unwrap_or(name);
            // What stands in two groups under one name is one command.
            if let Some(other) = known.insert(about.clone(), command.name())
                && leaf(other) != leaf(command.name())
            {
                panic!("{} and {other} both say: {about}", command.name());
            }
            assert!(defined.get_long_about().is_none(), "{}", command.name());
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
