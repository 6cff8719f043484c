//! `tollway pay-proxy`: lets any program that honours `http_proxy` pay.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::{ArgMatches, Args};
use serde::Serialize;
use tokio::net::TcpListener;
use tollway_client::Transport;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::fetch::flags::tls::TlsFlags;
use crate::fetch::flags::{AskError, read_file};
use crate::output::Output;
use crate::pay::PayFlags;
use crate::proxy::PayProxy;
use crate::proxy::authority::Authority;
use crate::shell::Shell;
use crate::signal::Stop;
use crate::terminal::{DIM, KEY, paint};
use crate::{flags, log};

/// `tollway pay-proxy`.
#[derive(Debug)]
pub(crate) struct PayProxyCommand;

#[derive(Args)]
struct Arguments {
    /// Where programs ask
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8400")]
    listen: SocketAddr,

    /// Programs must give this, `NAME:PASSWORD`, read from `file:PATH` or `env:NAME`. Needed where
    /// other machines can ask
    #[arg(long, value_name = "SOURCE")]
    password: Option<String>,

    /// Pay for https at this host, too, and what is below it: its connections are opened. May be
    /// given several times
    #[arg(long, value_name = "HOST", requires = "ca_dir")]
    pay_host: Vec<String>,

    /// Keep the certificate authority there by which they are opened; made where there is none. It
    /// can vouch for these hosts and for no others
    #[arg(long, value_name = "FOLDER", requires = "pay_host")]
    ca_dir: Option<PathBuf>,

    #[command(flatten)]
    tls: TlsFlags,

    #[command(flatten)]
    pay: PayFlags,
}

/// What is said first.
#[derive(Serialize)]
struct Listening {
    listen: String,
    pay_hosts: Vec<String>,
    ca: Option<PathBuf>,
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} http_proxy={}",
            paint(KEY, "paying on behalf of programs with"),
            self.listen
        )?;
        if let Some(ca) = &self.ca {
            let (hosts, ca) = (self.pay_hosts.join(", "), ca.display());
            let listen = &self.listen;
            writeln!(
                f,
                "https is paid for at {hosts} by programs with https_proxy={listen} that trust {ca}"
            )?;
        }
        write!(f, "{}", paint(DIM, "other https passes unread, and is not paid for"))
    }
}

#[async_trait]
impl Command for PayProxyCommand {
    fn name(&self) -> &'static str {
        "pay-proxy"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Pay on behalf of any program that honours http_proxy";
        let after = "Every program of this machine that can reach it spends by it, within the settings' \
                     policy and budgets and within\nthese flags: set them first, and --password where \
                     others use the machine. What is paid is said on stderr and in\na header, \
                     `Tollway-Payment`; what is refused is answered with 402 and a reason in JSON.\n\n\
                     Examples:\n  tollway pay-proxy --node purse:/run/purse.sock --budget 1000\n  \
                     http_proxy=http://127.0.0.1:8400 curl http://api.example.com/weather\n  \
                     tollway pay-proxy --pay-host api.example.com --ca-dir ~/.tollway/ca\n  \
                     https_proxy=http://127.0.0.1:8400 curl --cacert ~/.tollway/ca/ca.pem https://api.example.com/";
        Arguments::augment_args(command).about(about).after_help(after)
    }

    fn serves(&self) -> bool {
        true
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let Arguments { listen, password, pay_host, ca_dir, tls, pay } = read(args);
        log::start(shell, "warn");
        let password = password.map(|source| read_password(&source, shell)).transpose()?;
        if !listen.ip().is_loopback() && password.is_none() {
            let why = "other machines could spend: give `--password file:PATH`";
            return Err(AskError::Together { one: "--listen", other: "no --password", why }.into());
        }
        let authority = match ca_dir {
            Some(folder) => Some(Authority::open(&flags::absolute(&folder)?, &pay_host)?),
            None => None,
        };
        let mut transport = Transport::default();
        transport.tls = tls.read()?;
        let client = pay.builder(shell).await?.transport(transport).build()?;
        let failed = |source| Failure::Io { what: format!("listening on {listen}"), source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut stop = Stop::listen()
            .map_err(|source| Failure::Io { what: "waiting for signals".into(), source })?;
        let listening = Listening {
            listen: format!("http://{address}"),
            pay_hosts: pay_host,
            ca: authority.as_ref().map(|authority| authority.certificate().to_owned()),
        };
        shell.print(&Output::new(&listening)).map_err(Failure::Stdout)?;
        let proxy = Arc::new(PayProxy { client, authority, password, shell: shell.clone() });
        tokio::select! {
            served = proxy.serve(listener) => served.map_err(failed)?,
            // A payment on its way is in the wallet, and is ended by whoever asks next.
            () = stop.asked() => {}
        }
        Ok(Output::nothing())
    }
}

/// Name and password, as they are sent.
fn read_password(source: &str, shell: &Shell) -> Result<Vec<u8>, AskError> {
    const FLAG: &str = "--password";
    let bad = |problem| AskError::Secret { flag: FLAG, problem };
    let text = if let Some(path) = source.strip_prefix("file:") {
        String::from_utf8(read_file(FLAG, path)?).map_err(|_| bad("the file is no text"))?
    } else if let Some(name) = source.strip_prefix("env:") {
        shell.variable(name).ok_or(bad("the environment has no such variable"))?
    } else {
        return Err(bad("write `file:PATH` or `env:NAME`: others can see a command line"));
    };
    let text = text.trim_end_matches(['\r', '\n']);
    if !text.contains(':') || text.len() < 9 {
        return Err(bad("it is `NAME:PASSWORD`, of eight characters or more"));
    }
    Ok(BASE64_STANDARD.encode(text).into_bytes())
}
