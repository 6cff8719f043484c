//! `tollway admin service`: shows one service of a gateway that runs, or changes the services: in force at
//! once, and in the configuration's file.

use std::path::PathBuf;

use async_trait::async_trait;
use clap::{ArgMatches, Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use crate::admin::{AskError, Client, Door, Report, path, text};
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{GOOD, KEY, escape, escape_except, paint};

/// `tollway admin service`.
#[derive(Debug)]
pub(crate) struct AdminService;

#[derive(Args)]
struct Arguments {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    door: Door,
}

#[derive(Subcommand)]
enum Action {
    /// Show one, as it stands in the file
    Show {
        /// Its name
        name: String,
    },
    /// Add one
    Add {
        /// Its keys, as TOML or JSON, as `show` prints them; `-` reads stdin
        file: PathBuf,
        /// Put it before this one; at the end unless told
        #[arg(long, value_name = "NAME")]
        before: Option<String>,
    },
    /// Put another in the place of one; keys that are left out are gone
    Replace {
        /// The name of the one that is there
        name: String,
        /// The keys of the new one, as TOML or JSON; `-` reads stdin
        file: PathBuf,
    },
    /// Remove one
    Remove {
        /// Its name
        name: String,
    },
    /// Put all of them into another order
    Order {
        /// Each name, once
        #[arg(required = true)]
        names: Vec<String>,
    },
}

const AFTER_HELP: &str = "\
The whole configuration is checked before anything is written; comments in it stay where they are. When
somebody has changed the file meanwhile, nothing is changed. What may be secret is shown as `(secret)`;
sent back like that, it stays as it is.

Examples:
  tollway admin service show weather > weather.toml
  tollway admin service replace weather weather.toml
  tollway admin service add news.toml --before weather
  tollway admin service remove news
  tollway admin service order weather status";

const SERVICES: &str = "/v1/services";

#[async_trait]
impl Command for AdminService {
    fn name(&self) -> &'static str {
        "admin service"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Show, add, replace, remove or reorder services of a gateway that runs";
        Arguments::augment_args(command)
            .about(about)
            .after_help(AFTER_HELP)
            .subcommand_required(true)
            .arg_required_else_help(true)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let client = args.door.open(shell)?;
        match args.action {
            Action::Show { name } => show(&client, &name).await,
            Action::Add { file, before } => {
                let service = service(&file)?;
                let query = before.map(|before| {
                    let mut query = url::form_urlencoded::Serializer::new(String::new());
                    query.append_pair("before", &before);
                    format!("?{}", query.finish())
                });
                let path = format!("{SERVICES}{}", query.unwrap_or_default());
                change(&client, Method::POST, &path, Some(service), "added").await
            }
            Action::Replace { name, file } => {
                let service = service(&file)?;
                let path = path(SERVICES, &name);
                change(&client, Method::PUT, &path, Some(service), "replaced").await
            }
            Action::Remove { name } => {
                let path = path(SERVICES, &name);
                let removed = change(&client, Method::DELETE, &path, None, "removed").await;
                removed.map(|_| {
                    let text = format!("{} {}", paint(GOOD, "removed"), paint(KEY, &name));
                    Output::new(&Report { text, json: json!({ "removed": name }) })
                })
            }
            Action::Order { names } => {
                let body = json!({ "order": names });
                let path = "/v1/service-order";
                change(&client, Method::PUT, path, Some(body), "reordered").await
            }
        }
    }
}

async fn show(client: &Client, name: &str) -> Result<Output, Failure> {
    let json = client.get(&path(SERVICES, name)).await?.json;
    let toml = toml::to_string(&json).unwrap_or_else(|_| json.to_string());
    Ok(Output::new(&Report { text: escape_except(&toml, &['\n']), json }))
}

/// Changes what is there at this moment: it is read first, and a change in between is noticed.
async fn change(
    client: &Client,
    method: Method,
    path: &str,
    body: Option<Value>,
    done: &str,
) -> Result<Output, Failure> {
    let seen = client.get(SERVICES).await?.etag;
    let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
    let reply = client.send(method, path, seen.as_deref(), body).await?;
    let names = match reply.json["services"].as_array() {
        Some(services) => {
            let names: Vec<String> =
                services.iter().map(|service| text(service, "/name")).collect();
            names.join(", ")
        }
        None => text(&reply.json, "/name"),
    };
    let text = format!("{} {}", paint(GOOD, done), paint(KEY, names));
    Ok(Output::new(&Report { text, json: reply.json }))
}

/// The keys of a service, as TOML or as JSON.
fn service(file: &std::path::Path) -> Result<Value, Failure> {
    let text = files::read_input(file)?;
    let bad =
        |problem: String| AskError::NotAService { place: file.display().to_string(), problem };
    if text.trim_start().starts_with('{') {
        let keys: Result<Map<String, Value>, _> = serde_json::from_str(&text);
        return Ok(Value::Object(keys.map_err(|error| bad(error.to_string()))?));
    }
    let keys: Map<String, Value> =
        toml::from_str(&text).map_err(|error| bad(escape(error.message())))?;
    // As in the configuration itself, for who has copied it from there.
    match keys.get("service").map(Value::as_array) {
        Some(Some(services)) if keys.len() == 1 => match &services[..] {
            [service] => Ok(service.clone()),
            _ => Err(bad(format!("it describes {} services; give one", services.len())).into()),
        },
        _ => Ok(Value::Object(keys)),
    }
}
