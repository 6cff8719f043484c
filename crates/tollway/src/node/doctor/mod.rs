//! What the doctor says of a node: facts in, findings out. Asking the node is `command/node_doctor.rs`.

mod money;

use std::error::Error;
use std::path::{Path, PathBuf};

use l402::operator::{About, Balance, Channel, OperateError, Right, Rights};
use l402::{NodeErrorKind, OpenError};
use serde::Serialize;

/// How far a node's clock may be off before invoices suffer, and before it is worth a word, in seconds.
const CLOCK_WRONG: u64 = 120;
const CLOCK_ODD: u64 = 10;

/// What the node is to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Purpose {
    /// To pay.
    Pay,
    /// To be paid.
    Sell,
}

/// Everything that was found out.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Whether it opens as `tollway get` and `tollway serve` open it.
    pub(crate) opened: Result<(), OpenError>,
    pub(crate) about: Result<About, OperateError>,
    pub(crate) rights: Result<Rights, OperateError>,
    pub(crate) balance: Result<Balance, OperateError>,
    pub(crate) channels: Result<Vec<Channel>, OperateError>,
    /// Files of secrets that others than their owner can read.
    pub(crate) open_files: Vec<PathBuf>,
    /// What it is asked about; nothing means what the credential allows.
    pub(crate) purposes: Vec<Purpose>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// As it should be.
    Good,
    /// It works, and should be looked at.
    Warning,
    /// It does not work.
    Wrong,
    /// The node does not say.
    NotChecked,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) verdict: Verdict,
    /// May quote the node: escape it before a terminal sees it.
    pub(crate) says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, says: impl Into<String>) -> Self {
        Self { check, verdict, says: says.into(), fix: None }
    }

    fn fixed_by(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

/// All checks, in the order in which they make sense.
pub(crate) fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![reachable(facts)];
    findings.extend(credential(facts));
    let Ok(about) = &facts.about else {
        findings.extend(facts.open_files.iter().map(|path| open_file(path)));
        return findings;
    };
    findings.push(synced(about));
    findings.push(network(about));
    findings.push(clock(about));
    findings.extend(peers(about));
    findings.extend(opens(facts));
    findings.extend(facts.open_files.iter().map(|path| open_file(path)));
    findings.extend(money::channels(facts));
    findings.extend(money::liquidity(facts));
    findings
}

/// An error and its causes on one line, each once.
pub(crate) fn story(error: &dyn Error) -> String {
    let mut story = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !story.contains(&text) {
            story.push_str(": ");
            story.push_str(&text);
        }
        next = cause.source();
    }
    story
}

fn reachable(facts: &Facts) -> Finding {
    let error = match &facts.about {
        Ok(_) => return Finding::new("reachable", Verdict::Good, "it answers"),
        Err(error) => error,
    };
    let fix = match error {
        OperateError::Node(error) => match error.kind {
            NodeErrorKind::Unreachable => {
                "start the node, or mend host and port in its URL; if it only just started, wait"
            }
            NodeErrorKind::Timeout => {
                "look into the node's own log: it is there and does not answer"
            }
            NodeErrorKind::Unauthorized => {
                "give the URL the credential that the words above name; docs/nodes.md shows each"
            }
            NodeErrorKind::Storage => "look at the disk of the node",
            _ => "see docs/nodes.md for the URL of this kind of node",
        },
        OperateError::Cannot { .. }
        | OperateError::NoSuchChannel { .. }
        | OperateError::MayHaveSent(_)
        | OperateError::MayHaveOpened(_) => {
            return Finding::new("reachable", Verdict::NotChecked, story(error));
        }
    };
    Finding::new("reachable", Verdict::Wrong, story(error)).fixed_by(fix)
}

fn credential(facts: &Facts) -> Vec<Finding> {
    let rights = match &facts.rights {
        Ok(rights) => rights,
        Err(OperateError::Node(_)) if facts.about.is_err() => return Vec::new(),
        Err(error) => return vec![Finding::new("credential", Verdict::NotChecked, story(error))],
    };
    let mut findings = Vec::new();
    for (purpose, right, may) in
        [(Purpose::Pay, &rights.pay, "pay"), (Purpose::Sell, &rights.be_paid, "be paid")]
    {
        let asked = facts.purposes.contains(&purpose);
        match right {
            Right::Yes => {
                findings.push(Finding::new("credential", Verdict::Good, format!("it may {may}")));
            }
            Right::No { remedy } if asked || rights.pay.is_no() && rights.be_paid.is_no() => {
                let says = format!("it may not {may}");
                findings.push(Finding::new("credential", Verdict::Wrong, says).fixed_by(remedy));
            }
            Right::No { .. } => {
                let says = format!("it may not {may}, and was not asked to");
                findings.push(Finding::new("credential", Verdict::Good, says));
            }
            Right::Untold => {}
        }
    }
    if let Some(smaller) = &rights.too_wide {
        let says = "it may do far more than is needed; whoever gets it may empty the node";
        findings.push(Finding::new("credential", Verdict::Warning, says).fixed_by(smaller));
    }
    findings
}

fn synced(about: &About) -> Finding {
    let block = about.height.map(|height| format!(", block {height}")).unwrap_or_default();
    match about.synced {
        Some(true) => {
            Finding::new("synced", Verdict::Good, format!("in step with the chain{block}"))
        }
        Some(false) => Finding::new("synced", Verdict::Wrong, format!("behind the chain{block}"))
            .fixed_by(
                "wait, and look again; if the block number does not grow, look at the node's own \
                 connection to the chain",
            ),
        None => Finding::new("synced", Verdict::NotChecked, format!("it does not say{block}")),
    }
}

fn network(about: &About) -> Finding {
    match about.network {
        Some(network) => Finding::new("network", Verdict::Good, network.to_string()),
        None => Finding::new("network", Verdict::Wrong, "a network on which we do not pay")
            .fixed_by("use a node on mainnet, testnet, signet or regtest"),
    }
}

fn clock(about: &About) -> Finding {
    let Some(ahead) = about.clock_ahead_s else {
        return Finding::new("clock", Verdict::NotChecked, "it does not show its clock");
    };
    let verdict = match ahead.unsigned_abs() {
        off if off > CLOCK_WRONG => Verdict::Wrong,
        off if off > CLOCK_ODD => Verdict::Warning,
        _ => return Finding::new("clock", Verdict::Good, "the same as this machine's"),
    };
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let says = format!("{} s {way} this machine's: invoices expire early or late", ahead.abs());
    Finding::new("clock", verdict, says).fixed_by("`timedatectl set-ntp true` on both machines")
}

fn peers(about: &About) -> Option<Finding> {
    (about.peers == Some(0)).then(|| {
        Finding::new("peers", Verdict::Warning, "it is connected to no other node").fixed_by(
            "check the node's own network; `tollway node open-channel KEY@HOST:PORT AMOUNT` \
             connects it",
        )
    })
}

/// What only shows when it is opened to be used.
fn opens(facts: &Facts) -> Option<Finding> {
    let error = facts.opened.as_ref().err()?;
    let useless = |rights: &Rights| rights.pay.is_no() && rights.be_paid.is_no();
    let said = facts.rights.as_ref().is_ok_and(useless)
        || facts.about.as_ref().is_ok_and(|about| about.synced == Some(false));
    (!said).then(|| {
        Finding::new("opens", Verdict::Wrong, story(error))
            .fixed_by("mend the URL as the words above say; docs/nodes.md shows each kind")
    })
}

fn open_file(path: &Path) -> Finding {
    let path = path.display();
    Finding::new("secret", Verdict::Warning, format!("others can read {path}"))
        .fixed_by(format!("chmod 600 {path}"))
}

#[cfg(test)]
mod tests {
    use l402::operator::ChannelState;
    use l402::{Msat, Network, NodeError, Sat};

    use super::*;

    fn healthy() -> Facts {
        let about = About {
            network: Some(Network::Regtest),
            height: Some(100),
            synced: Some(true),
            peers: Some(1),
            clock_ahead_s: Some(0),
            ..About::default()
        };
        let some = Some(Msat::from_msat(1_000));
        let channel = Channel {
            id: "a:0".to_owned(),
            peer: None,
            state: ChannelState::Usable,
            capacity: Sat::from_sat(2),
            outbound: Msat::from_msat(1_000),
            inbound: Msat::from_msat(1_000),
            public: false,
        };
        Facts {
            opened: Ok(()),
            about: Ok(about),
            rights: Ok(Rights {
                pay: Right::Yes,
                be_paid: Right::Yes,
                observe: Right::Yes,
                too_wide: None,
            }),
            balance: Ok(Balance { outbound: some, inbound: some, ..Balance::default() }),
            channels: Ok(vec![channel]),
            open_files: Vec::new(),
            purposes: Vec::new(),
        }
    }

    /// The checks that are not good, and how they are.
    fn complaints(facts: &Facts) -> Vec<(&'static str, Verdict)> {
        let bad = |finding: &Finding| finding.verdict != Verdict::Good;
        let findings = examine(facts);
        for finding in findings.iter().filter(|finding| finding.verdict == Verdict::Wrong) {
            assert!(finding.fix.is_some(), "no fix for {finding:?}");
        }
        findings.into_iter().filter(bad).map(|finding| (finding.check, finding.verdict)).collect()
    }

    #[test]
    fn a_healthy_node_has_no_complaints() {
        assert_eq!(complaints(&healthy()), []);
    }

    #[test]
    fn each_illness_is_found_by_itself() {
        let mut facts = healthy();
        let about = facts.about.as_mut().unwrap();
        (about.synced, about.peers, about.clock_ahead_s) = (Some(false), Some(0), Some(-3600));
        let rights = facts.rights.as_mut().unwrap();
        rights.too_wide = Some("bake".to_owned());
        facts.balance.as_mut().unwrap().inbound = Some(Msat::ZERO);
        facts.channels.as_mut().unwrap()[0].state = ChannelState::Offline;
        facts.open_files.push("/secret".into());
        assert_eq!(
            complaints(&facts),
            [
                ("credential", Verdict::Warning),
                ("synced", Verdict::Wrong),
                ("clock", Verdict::Wrong),
                ("peers", Verdict::Warning),
                ("secret", Verdict::Warning),
                ("channels", Verdict::Wrong),
                ("inbound", Verdict::Wrong),
            ]
        );
    }

    #[test]
    fn a_buyers_credential_needs_no_inbound_liquidity_unless_it_is_to_sell() {
        let mut facts = healthy();
        facts.rights.as_mut().unwrap().be_paid = Right::No { remedy: "bake".to_owned() };
        facts.balance.as_mut().unwrap().inbound = Some(Msat::ZERO);
        assert_eq!(complaints(&facts), []);
        facts.purposes = vec![Purpose::Sell];
        assert_eq!(
            complaints(&facts),
            [("credential", Verdict::Wrong), ("inbound", Verdict::Wrong)]
        );
    }

    #[test]
    fn a_node_that_does_not_answer_is_told_with_its_reason() {
        let gone = || NodeError::new("lnd", NodeErrorKind::Unreachable).because("refused");
        let facts = Facts {
            opened: Err(gone().into()),
            about: Err(gone().into()),
            balance: Err(gone().into()),
            channels: Err(gone().into()),
            ..healthy()
        };
        assert_eq!(complaints(&facts), [("reachable", Verdict::Wrong)]);
        assert_eq!(examine(&facts)[0].says, "lnd: node unreachable: refused");
    }
}
