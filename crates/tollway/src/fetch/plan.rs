//! What a command line asks for, read whole before anything is sent.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgMatches, Args};
use http::HeaderMap;
use tollway_client::{Request, Transport};
use url::Url;

use super::flags::auth::{Auth, AuthFlags};
use super::flags::conditional::{ConditionFlags, Resume};
use super::flags::connection::ConnectionFlags;
use super::flags::cookies::{CookieFlags, Jar};
use super::flags::headers::HeaderFlags;
use super::flags::limits::LimitFlags;
use super::flags::output::{OutputFlags, Place};
use super::flags::send::{SendFlags, Sending};
use super::flags::{AskError, in_order, read_url, refused};
use super::write_out::WriteOut;
use crate::failure::Failure;
use crate::shell::Shell;

// Everything that is asked for but for the money.
#[derive(Debug, Args)]
pub(crate) struct AskFlags {
    /// What to get; http or https. Several are asked one after the other
    #[arg(value_name = "URL")]
    urls: Vec<String>,

    /// What to get, as a flag
    #[arg(long, value_name = "URL")]
    url: Vec<String>,

    #[command(flatten)]
    send: SendFlags,

    #[command(flatten)]
    headers: HeaderFlags,

    #[command(flatten)]
    auth: AuthFlags,

    #[command(flatten)]
    cookies: CookieFlags,

    #[command(flatten)]
    conditions: ConditionFlags,

    #[command(flatten)]
    pub(crate) output: OutputFlags,

    #[command(flatten)]
    pub(crate) limits: LimitFlags,

    #[command(flatten)]
    connection: ConnectionFlags,
}

/// One URL, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) number: usize,
    pub(crate) url: Url,
    pub(crate) place: Place,
}

/// What is asked for.
pub(crate) struct Plan {
    pub(crate) jobs: Vec<Job>,
    pub(crate) sending: Sending,
    pub(crate) jar: Option<Arc<Jar>>,
    pub(crate) transport: Transport,
    pub(crate) write_out: Option<WriteOut>,
    headers: HeaderMap,
    auth: Auth,
}

impl AskFlags {
    /// Reads all flags and the files that they name.
    pub(crate) async fn plan(&self, args: &ArgMatches, shell: &Shell) -> Result<Plan, Failure> {
        let urls = self.urls(args)?;
        if urls.is_empty() {
            return Err(AskError::NoUrl.into());
        }
        self.plan_for(urls, args, shell).await
    }

    /// The URLs of the command line.
    pub(crate) fn urls(&self, args: &ArgMatches) -> Result<Vec<Url>, AskError> {
        in_order(args, &["urls", "url"]).into_iter().map(|(_, url)| read_url(url)).collect()
    }

    /// The same for other URLs than those of the command line.
    pub(crate) async fn plan_for(
        &self,
        urls: Vec<Url>,
        args: &ArgMatches,
        shell: &Shell,
    ) -> Result<Plan, Failure> {
        refused::check(args)?;
        let sending = self.send.read(args)?;
        let urls: Vec<Url> = urls.into_iter().map(|url| sending.address(url)).collect();
        let places = self.output.places(args, &urls)?;
        let jar = self.cookies.read(&urls)?;
        let mut transport = self.connection.read(&urls, |name| shell.variable(name)).await?;
        transport.cookies = jar.clone().map(|jar| jar as Arc<dyn tollway_client::Cookies>);
        let headers = self.headers.read(args, &sending)?;
        let auth = self.auth.read(shell.home().as_deref())?;
        let write_out = self.output.write_out.as_deref().map(WriteOut::read).transpose()?;
        transport.measured = write_out.is_some() || shell.is_json();
        let jobs = urls.into_iter().zip(places).enumerate();
        let jobs = jobs.map(|(number, (url, place))| Job { number, url, place }).collect();
        let plan = Plan { jobs, sending, jar, transport, write_out, headers, auth };
        // Mistakes in what is read once for each try are told before the first.
        for job in &plan.jobs {
            self.request(&plan, job)?;
        }
        Ok(plan)
    }

    /// The request for one URL, with the headers that it sends, and where its file goes on.
    pub(crate) fn request(
        &self,
        plan: &Plan,
        job: &Job,
    ) -> Result<(Request, HeaderMap, Option<Resume>), Failure> {
        let mut headers = plan.headers.clone();
        plan.auth.add(&job.url, &mut headers);
        let resume = self.conditions.add(job.place.known_file(), &mut headers)?;
        let bad = |error: tollway_client::BadRequest| Failure::Fetch(Box::new(error.into()));
        let request = Request::new(plan.sending.method.clone(), job.url.clone()).map_err(bad)?;
        let mut request = request.headers(headers.clone()).body(plan.sending.body.clone());
        request = self.limits.follow(request);
        if self.auth.location_trusted {
            request = request.trust_redirects();
        }
        Ok((request, headers, resume))
    }

    /// Whether an answer may be compressed.
    pub(crate) fn compressed(&self) -> bool {
        self.headers.compressed
    }

    /// Whether the head is part of what is printed: with `--head` it is all of it.
    pub(crate) fn shows_head(&self) -> bool {
        self.output.include || self.send.head
    }

    /// Where the answer's ETag is to be written.
    pub(crate) fn etag_save(&self) -> Option<&PathBuf> {
        self.conditions.etag_save.as_ref()
    }

    /// Whether the rest of a file is asked for.
    pub(crate) fn goes_on(&self) -> bool {
        self.conditions.goes_on()
    }
}
