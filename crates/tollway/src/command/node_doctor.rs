//! `tollway node doctor`: asks a node everything that can be wrong with it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::operator::OperateError;
use l402::{NodeUrl, OpenError, Operator};
use serde::Serialize;

use crate::command::{Command, read};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::node::NodeFlag;
use crate::node::doctor::{Facts, Finding, Purpose, Verdict, examine};
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{BAD, DIM, GOOD, KEY, escape, paint};
use crate::{log, nodes};

/// `tollway node doctor`.
#[derive(Debug)]
pub(crate) struct NodeDoctor;

#[derive(Args)]
struct Arguments {
    /// What the node is to be used for; unless given, whatever its credential allows
    #[arg(long = "for", value_name = "PURPOSE")]
    purposes: Vec<Purpose>,

    #[command(flatten)]
    node: NodeFlag,
}

const AFTER_HELP: &str = "\
Nothing is paid and nothing is changed. It ends with 1 when something is wrong.

Examples:
  tollway node doctor
  tollway node doctor --for pay --format json";

#[async_trait]
impl Command for NodeDoctor {
    fn name(&self) -> &'static str {
        "node doctor"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Find out what is wrong with a node, and how to mend it";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        log::start(shell, "error");
        let url = args.node.url("look at", shell)?;
        let findings = examine(&ask(&url, args.purposes, shell).await?);
        let wrong = findings.iter().any(|finding| finding.verdict == Verdict::Wrong);
        let exit = if wrong { Exit::General } else { Exit::Ok };
        Ok(Output::new(&Report { healthy: !wrong, findings }).with_exit(exit))
    }
}

/// Asks the node. A URL that cannot be read is no finding but a mistake.
async fn ask(url: &NodeUrl, purposes: Vec<Purpose>, shell: &Shell) -> Result<Facts, Failure> {
    let (opened, operator) = match nodes::open(url, shell).await {
        Ok(node) => {
            let none = || nodes::cannot(url, "be asked about itself");
            (Ok(()), node.operator.ok_or_else(none))
        }
        Err(error @ OpenError::Node(_)) => (Err(error), nodes::operate(url, shell).await),
        Err(error) => return Err(error.into()),
    };
    let operator: Arc<dyn Operator> = match operator {
        Ok(operator) => operator,
        // It cannot even be begun, as with a credential that cannot be read.
        Err(OpenError::Node(error)) => {
            let again = || l402::NodeError::new(error.driver, error.kind);
            return Ok(Facts {
                opened,
                rights: Err(again().into()),
                balance: Err(again().into()),
                channels: Err(again().into()),
                about: Err(OperateError::Node(error)),
                open_files: nodes::files_others_can_read(url, shell),
                purposes,
            });
        }
        Err(error) => return Err(error.into()),
    };
    let about = operator.about().await;
    Ok(Facts {
        opened,
        about,
        rights: operator.rights().await,
        balance: operator.balance().await,
        channels: operator.channels().await,
        open_files: nodes::files_others_can_read(url, shell),
        purposes,
    })
}

#[derive(Serialize)]
struct Report {
    healthy: bool,
    findings: Vec<Finding>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { check, verdict, says, fix } in &self.findings {
            let word = match verdict {
                Verdict::Good => paint(GOOD, "good   "),
                Verdict::Warning => paint(KEY, "warning"),
                Verdict::Wrong => paint(BAD, "wrong  "),
                Verdict::NotChecked => paint(DIM, "unknown"),
            };
            writeln!(f, "{word}  {check:<10}  {}", escape(says))?;
            if let Some(fix) = fix {
                writeln!(f, "         {} {}", paint(KEY, "fix:"), escape(fix))?;
            }
        }
        match self.healthy {
            true => write!(f, "{}", paint(GOOD, "nothing is wrong")),
            false => write!(f, "{}", paint(BAD, "something is wrong")),
        }
    }
}
