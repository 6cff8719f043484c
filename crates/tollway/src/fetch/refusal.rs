//! What is said of a request that did not end with a response: by which word, and what to do about it.

use l402::flow::{FlowError, NotTaken};
use tollway_client::Denied;

/// A word for programs.
pub(crate) fn kind(error: &tollway_client::Error) -> &'static str {
    use tollway_client::Error as E;
    match error {
        E::BadRequest(_) => "bad_request",
        E::Http(_) | E::NoAnswer { .. } => "network",
        E::Redirect { .. } => "redirect",
        E::Insecure(_) => "insecure",
        E::Terms(terms) if is_header_taken(terms) => "authorization_taken",
        E::Terms(_) => "offer",
        E::OverBudget(_) => "over_budget",
        E::Policy(denied) => match **denied {
            Denied::OverLimit(_) => "over_budget",
            _ => "policy",
        },
        E::NoPayer => "no_node",
        E::Open(_) => "node",
        E::NotPaid { .. } => "not_paid",
        E::Unknown { .. } | E::WrongPreimage { .. } => "unknown",
        E::NotStored { .. } => "not_stored",
        E::PaidInVain { .. } | E::StillRefused { .. } => "paid_in_vain",
        E::Wallet(_) => "wallet",
    }
}

/// What to do about it, when we know.
pub(crate) fn hint(error: &tollway_client::Error) -> Option<&'static str> {
    use tollway_client::Error as E;
    Some(match error {
        E::NoPayer => {
            "give `--node URL` or set TOLLWAY_NODE; `tollway devnet` starts nodes to try it with"
        }
        E::Insecure(_) => "use https, or give `--allow-plain-http` where nobody else is on the way",
        E::Terms(terms) if is_header_taken(terms) => {
            "leave `--user`, `--netrc`, `--oauth2-bearer` or `-H Authorization:` out; give \
             `--second-authorization` where the server is known to read both lines"
        }
        E::Terms(_) => "`--dry-run` shows what is asked; `--max-cost` says what you agree to",
        E::Unknown { .. } | E::WrongPreimage { .. } | E::NotStored { .. } => {
            "run the same command again: it asks the node first, and pays nothing new before the \
             node has said how this payment ended"
        }
        E::NoAnswer { .. } => "run the same command again: the proof is kept, and nothing is paid",
        E::PaidInVain { .. } | E::StillRefused { .. } => {
            "the proof is kept in the wallet; ask the seller, or buy once more with `--buy-again`"
        }
        E::Redirect { receipt: None, .. } => "ask there directly",
        E::Policy(denied) => match **denied {
            Denied::NobodyToAsk { .. } => "run it on a terminal, or agree beforehand with `--yes`",
            Denied::OverLimit(_) => "`tollway budget` shows what is left of each",
            _ => "`tollway config show` shows the policy",
        },
        E::BadRequest(_)
        | E::Http(_)
        | E::Redirect { .. }
        | E::OverBudget(_)
        | E::Open(_)
        | E::NotPaid { .. }
        | E::Wallet(_) => return None,
    })
}

/// Whether a proof would have no place in the request.
pub(crate) fn is_header_taken(error: &FlowError) -> bool {
    let FlowError::NoOffer(reasons) = error else { return false };
    reasons.iter().any(|(_, why)| matches!(why, NotTaken::HeaderTaken(_)))
}
