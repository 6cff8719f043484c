//! Where answers go, and what is said about them.

use std::path::{Path, PathBuf};

use clap::{ArgAction, ArgMatches, Args};
use content_disposition::parse_content_disposition;
use http::HeaderMap;
use http::header::CONTENT_DISPOSITION;
use url::Url;

use super::AskError;

#[derive(Debug, Args)]
#[command(next_help_heading = "Where the answer goes")]
pub(crate) struct OutputFlags {
    /// Write the body there; `-` is stdout. The first is for the first URL, and so on
    #[arg(short, long, value_name = "FILE")]
    output: Vec<PathBuf>,

    /// Write the body into a file named as the URL's path ends
    #[arg(short = 'O', long, action = ArgAction::Append, num_args = 0, default_missing_value = "")]
    remote_name: Vec<String>,

    /// As --remote-name, for every URL
    #[arg(long)]
    remote_name_all: bool,

    /// With --remote-name, take the name that the server says
    #[arg(short = 'J', long)]
    remote_header_name: bool,

    /// Write files into this folder
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,

    /// Make the folders that are not there
    #[arg(long)]
    pub(crate) create_dirs: bool,

    /// Write into no file that is there: put .1, .2 ... behind its name
    #[arg(long)]
    pub(crate) no_clobber: bool,

    /// Leave no part of a file behind when something fails
    #[arg(long, conflicts_with = "continue_at")]
    pub(crate) remove_on_error: bool,

    /// Give files the time that the server says
    #[arg(short = 'R', long)]
    pub(crate) remote_time: bool,

    /// Print the status and the headers before the body
    #[arg(short, long, visible_alias = "show-headers")]
    pub(crate) include: bool,

    /// Write the heads of all answers there; `-` is stdout
    #[arg(short = 'D', long, value_name = "FILE")]
    pub(crate) dump_header: Option<PathBuf>,

    /// End with another number than 0 when the status is 400 or above, and print no body
    #[arg(short, long)]
    pub(crate) fail: bool,

    /// As --fail, but print the body
    #[arg(long, conflicts_with = "fail")]
    pub(crate) fail_with_body: bool,

    /// Stop at the first URL that fails
    #[arg(long)]
    pub(crate) fail_early: bool,

    /// Say nothing on stderr
    #[arg(short, long)]
    pub(crate) silent: bool,

    /// With --silent, still say what went wrong
    #[arg(short = 'S', long)]
    pub(crate) show_error: bool,

    /// Say each step on stderr as it is passed, and the heads, without what is secret in them
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Write everything that is sent and received there, in hexadecimal too; without what is secret
    /// in heads. `-` is stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// As --trace, without the hexadecimal
    #[arg(long, value_name = "FILE", conflicts_with = "trace")]
    pub(crate) trace_ascii: Option<PathBuf>,

    /// Put the time before each line of --verbose and --trace
    #[arg(long)]
    pub(crate) trace_time: bool,

    /// Show no progress
    #[arg(long)]
    pub(crate) no_progress_meter: bool,

    /// Print this at the end of each transfer: `%{http_code}`, `%{json}`, `%{amount_msat}` ...;
    /// `@FILE` reads it from a file
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    pub(crate) write_out: Option<String>,

    /// Ask for all URLs at once
    #[arg(short = 'Z', long)]
    pub(crate) parallel: bool,

    /// How many at once
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=300))]
    pub(crate) parallel_max: u16,
}

/// Where one URL's body goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Stdout.
    Stdout,
    /// That file.
    File(PathBuf),
    /// A file that is named by the URL, or by the answer.
    Named {
        /// The folder, and the name that the URL gives.
        by_url: PathBuf,
        /// Whether the answer may give another.
        by_answer: bool,
    },
}

impl OutputFlags {
    /// Whether a bar may be drawn.
    pub(crate) const fn shows_progress(&self) -> bool {
        !self.silent && !self.no_progress_meter && !self.parallel
    }

    /// The places of so many URLs, in their order.
    pub(crate) fn places(&self, args: &ArgMatches, urls: &[Url]) -> Result<Vec<Place>, AskError> {
        let given = self.given(args);
        urls.iter().enumerate().map(|(at, url)| self.place(given.get(at), url)).collect()
    }

    /// `-o` and `-O` in the order of the command line.
    fn given(&self, args: &ArgMatches) -> Vec<Option<&PathBuf>> {
        let mut all: Vec<(usize, Option<&PathBuf>)> = Vec::new();
        let outputs = args.indices_of("output").into_iter().flatten();
        all.extend(outputs.zip(self.output.iter().map(Some)));
        let names = args.indices_of("remote_name").into_iter().flatten();
        all.extend(names.zip(self.remote_name.iter().map(|_| None)));
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, place)| place).collect()
    }

    fn place(&self, given: Option<&Option<&PathBuf>>, url: &Url) -> Result<Place, AskError> {
        let within = |name: &Path| match &self.output_dir {
            Some(folder) => folder.join(name),
            None => name.to_owned(),
        };
        match given {
            Some(Some(file)) if file.as_path() == Path::new("-") => Ok(Place::Stdout),
            Some(Some(file)) => Ok(Place::File(within(file))),
            None if !self.remote_name_all => Ok(Place::Stdout),
            Some(None) | None => {
                let name =
                    url_name(url).or_else(|| self.remote_header_name.then(|| "index".to_owned()));
                let name = name.ok_or_else(|| AskError::Value {
                    flag: "--remote-name",
                    value: url.as_str().to_owned(),
                    problem: "its path ends with no name; name the file by `-o FILE`",
                })?;
                Ok(Place::Named {
                    by_url: within(Path::new(&name)),
                    by_answer: self.remote_header_name,
                })
            }
        }
    }
}

impl Place {
    /// The file, once the head of the answer is there; `None` is stdout.
    pub(crate) fn file(&self, headers: &HeaderMap) -> Option<PathBuf> {
        match self {
            Self::Stdout => None,
            Self::File(file) => Some(file.clone()),
            Self::Named { by_url, by_answer } => {
                let said = if *by_answer { answer_name(headers) } else { None };
                Some(said.map_or_else(|| by_url.clone(), |name| by_url.with_file_name(name)))
            }
        }
    }

    /// The file, as far as it is known before anything is asked.
    pub(crate) fn known_file(&self) -> Option<&Path> {
        match self {
            Self::File(file) | Self::Named { by_url: file, .. } => Some(file),
            Self::Stdout => None,
        }
    }
}

/// The last part of the path, as a file may be called.
fn url_name(url: &Url) -> Option<String> {
    let last = url.path_segments()?.next_back()?;
    let name = percent_encoding::percent_decode_str(last).decode_utf8().ok()?;
    harmless(&name)
}

/// What `Content-Disposition` says.
fn answer_name(headers: &HeaderMap) -> Option<String> {
    let line = headers.get(CONTENT_DISPOSITION)?.to_str().ok()?;
    harmless(&parse_content_disposition(line).filename_full()?)
}

/// A name that leads nowhere else, is hidden from nobody and prints as it is.
fn harmless(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next()?.trim();
    let odd = |c: char| crate::terminal::is_hostile(c) || c == '/';
    let usable = !last.is_empty() && !last.starts_with('.') && !last.contains(odd);
    (usable && last.len() <= 255).then(|| last.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    fn places(line: &[&str], urls: &[&str]) -> Result<Vec<Place>, AskError> {
        let command = clap::Command::new("get").arg(clap::Arg::new("continue_at").long("c"));
        let command = OutputFlags::augment_args(command);
        let args = command.try_get_matches_from([&["get"], line].concat()).expect("known flags");
        let urls: Vec<Url> = urls.iter().map(|url| url.parse().unwrap()).collect();
        OutputFlags::from_arg_matches(&args).unwrap().places(&args, &urls)
    }

    fn named(path: &str, by_answer: bool) -> Place {
        Place::Named { by_url: path.into(), by_answer }
    }

    #[test]
    fn files_and_urls_go_together_in_their_order() {
        let urls = ["http://a/x", "http://a/d/y?q=/z", "http://a/"];
        let line = ["-O", "-o", "file", "-o", "-"];
        let found = places(&line, &urls).unwrap();
        assert_eq!(found, [named("x", false), Place::File("file".into()), Place::Stdout]);
        let found = places(&["--output-dir", "d", "-o", "f", "-OJ"], &urls[..2]).unwrap();
        assert_eq!(found, [Place::File("d/f".into()), named("d/y", true)]);
        assert_eq!(places(&[], &urls).unwrap(), [const { Place::Stdout }; 3]);
        assert!(matches!(places(&["--remote-name-all"], &urls), Err(AskError::Value { .. })));
    }

    #[test]
    fn an_answer_names_no_file_elsewhere() {
        let place = named("d/y", true);
        let file = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_DISPOSITION, line.parse().unwrap());
            place.file(&headers).unwrap().display().to_string()
        };
        assert_eq!(file("attachment; filename=\"report.pdf\""), "d/report.pdf");
        assert_eq!(file("attachment; filename=\"../../evil\""), "d/evil");
        for refused in ["..", ".bashrc", "", "/"] {
            assert_eq!(file(&format!("attachment; filename=\"{refused}\"")), "d/y", "{refused}");
        }
        assert_eq!(file("attachment"), "d/y");
        assert_eq!(url_name(&"http://a/%2e%2e%2fx".parse().unwrap()).as_deref(), Some("x"));
    }
}
