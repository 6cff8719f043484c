//! What the doctor says of channels and of what is in them.

use l402::Msat;
use l402::operator::{ChannelState, OperateError, Right, Rights};

use super::{Facts, Finding, Purpose, Verdict, story};

pub(super) fn channels(facts: &Facts) -> Option<Finding> {
    let channels = match &facts.channels {
        Ok(channels) => channels,
        Err(OperateError::Cannot { .. }) => return None,
        Err(error) => return Some(unseen("channels", facts, error)),
    };
    let count = |state| channels.iter().filter(|channel| channel.state == state).count();
    let (usable, offline) = (count(ChannelState::Usable), count(ChannelState::Offline));
    let says = format!(
        "{usable} usable, {offline} offline, {} opening, {} closing",
        count(ChannelState::Opening),
        count(ChannelState::Closing)
    );
    Some(match (usable, offline) {
        (0, 0) => Finding::new("channels", Verdict::Wrong, says).fixed_by(OPEN),
        (_, 0) => Finding::new("channels", Verdict::Good, says),
        (0, _) => Finding::new("channels", Verdict::Wrong, says).fixed_by(PEERS_GONE),
        (_, _) => Finding::new("channels", Verdict::Warning, says).fixed_by(PEERS_GONE),
    })
}

const OPEN: &str = "`tollway node address` says where to send bitcoin to, and then \
                    `tollway node open-channel KEY@HOST:PORT AMOUNT`";
const PEERS_GONE: &str = "wait for the peers to come back; `tollway node close-channel --force \
                          CHANNEL` gives one up";

/// What the credential does not let us see.
fn unseen(check: &'static str, facts: &Facts, error: &OperateError) -> Finding {
    let finding = Finding::new(check, Verdict::NotChecked, story(error));
    match &facts.rights {
        Ok(Rights { observe: Right::No { remedy }, .. }) => {
            Finding::new(check, Verdict::NotChecked, "the credential may not see it")
                .fixed_by(format!("for `tollway node` commands only: {remedy}"))
        }
        _ => finding,
    }
}

pub(super) fn liquidity(facts: &Facts) -> Vec<Finding> {
    let balance = match &facts.balance {
        Ok(balance) => balance,
        Err(error) => return vec![unseen("liquidity", facts, error)],
    };
    let may = |right: fn(&Rights) -> &Right| {
        facts.rights.as_ref().map_or(true, |rights| !right(rights).is_no())
    };
    let wanted = |purpose, right| match facts.purposes.is_empty() {
        true => may(right),
        false => facts.purposes.contains(&purpose),
    };
    let mut findings = Vec::new();
    if wanted(Purpose::Pay, |rights| &rights.pay) {
        findings.extend(balance.outbound.map(|amount| {
            side("outbound", amount, "can pay", if facts.channels.is_ok() { OPEN } else { FILL })
        }));
    }
    if wanted(Purpose::Sell, |rights| &rights.be_paid) {
        findings
            .extend(balance.inbound.map(|amount| side("inbound", amount, "can be paid", INBOUND)));
    }
    findings
}

const FILL: &str = "put money into the wallet: `tollway node invoice AMOUNT` asks for it";
const INBOUND: &str = "let another node open a channel to this one, or spend some first; \
                       `tollway node open-channel --push AMOUNT` gives some away";

fn side(check: &'static str, amount: Msat, can: &str, fix: &str) -> Finding {
    let says = format!("it {can} {amount}");
    match amount {
        Msat::ZERO => Finding::new(check, Verdict::Wrong, says).fixed_by(fix),
        _ => Finding::new(check, Verdict::Good, says),
    }
}
