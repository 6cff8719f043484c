//! `tollway demo`: the whole loop on this machine, with real payments and no real money.

use async_trait::async_trait;
use clap::{ArgMatches, Args};

use crate::command::{Command, devnet, read};
use crate::demo::stage::Stage;
use crate::demo::story;
use crate::failure::Failure;
use crate::log;
use crate::output::Output;
use crate::shell::Shell;
use crate::signal::Stop;
use crate::terminal::{KEY, STRONG, paint};

/// `tollway demo`.
#[derive(Debug)]
pub(crate) struct Demo;

#[derive(Args)]
struct Arguments {
    /// Leave it running at the end, and print what to try in another terminal
    #[arg(long)]
    keep: bool,
}

const AFTER_HELP: &str = "\
Nothing leaves this machine, nothing is left behind, and no money is real.

Examples:
  tollway demo
  tollway demo --keep
  tollway demo --format json";

#[async_trait]
impl Command for Demo {
    fn name(&self) -> &'static str {
        "demo"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Watch one payment: a private Lightning network, a priced API, a buyer";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    fn serves(&self) -> bool {
        true
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let Arguments { keep } = read(args);
        log::start(shell, "error");
        let mut stop = Stop::listen()
            .map_err(|source| Failure::Io { what: "waiting for signals".into(), source })?;
        let told = async {
            let stage = Stage::set().await?;
            let told = story::tell(&stage, shell).await?;
            Ok::<_, Failure>((stage, told))
        };
        let (stage, told) = tokio::select! {
            told = told => told?,
            () = stop.asked() => return Ok(Output::nothing()),
        };
        if !keep {
            stage.clear().await;
            return Ok(Output::new(&told));
        }
        let purse = devnet::purse(&stage.devnet, &stage.devnet.nodes()[0]).await?;
        let url = format!("purse:{}", purse.path().display());
        shell.print(&Output::new(&told)).map_err(Failure::Stdout)?;
        invite(shell, &stage, &url);
        let stopped = purse.serve(async move { stop.asked().await }, devnet::GRACE).await;
        crate::command::node_run::say_unresolved(shell, &stopped.unresolved);
        stage.clear().await;
        Ok(Output::nothing())
    }
}

/// What to try now.
fn invite(shell: &Shell, stage: &Stage, node: &str) {
    let program = shell.program();
    let url = stage.url("/weather/paris");
    let forecast = stage.url("/forecast");
    shell.say(&format!("\n{}", paint(STRONG, "It stays up until Ctrl-C. In another terminal:")));
    for line in [
        format!("{program} get --node {node} {url}"),
        format!(
            "{program} get --node {node} --json '{{\"city\":\"paris\",\"days\":3}}' {forecast}"
        ),
        format!("{program} get --node {node} --dry-run {url}"),
        format!("curl -i {url}"),
    ] {
        shell.say(&format!("  {}", paint(KEY, line)));
    }
}
