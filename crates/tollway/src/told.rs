//! What programs are told of a failure: one JSON object, the names in which are a contract.

use l402::OpenError;
use serde_json::{Value, json};
use tollway_client::MoneyMoved;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::fetch::retry::is_transient;

impl Failure {
    /// All of it as one JSON object.
    pub(crate) fn json(&self, exit: Exit) -> Value {
        let (moved, payment) = self.money().unwrap_or((MoneyMoved::No, None));
        let hint = self.hint();
        let mut error = json!({
            "kind": self.kind(),
            "message": self.to_string(),
            "causes": self.causes(),
            "hint": hint,
            "recovery": hint,
            "exit_code": exit.code(),
            "money_moved": moved_word(moved),
            "payment_hash": payment.map(|hash| hash.to_string()),
            "retryable": self.is_retryable(),
            "safe_to_retry": self.is_safe_to_retry(),
        });
        if let Self::Status { status, retry_after, .. } = self {
            error["status"] = status.as_u16().into();
            error["retry_after_seconds"] = retry_after.map(|after| after.as_secs()).into();
        }
        error
    }

    /// The causes, the nearest first, without those that only repeat what was said.
    pub(crate) fn causes(&self) -> Vec<String> {
        if let Self::Config { mistakes, .. } = self {
            return mistakes.iter().map(ToString::to_string).collect();
        }
        if let Self::AdminRefused(refusal) = self {
            return refusal.mistakes().to_vec();
        }
        let mut said = self.to_string();
        let mut causes = Vec::new();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            let text = cause.to_string();
            if !said.contains(&text) {
                causes.push(text.clone());
                said.push_str(&text);
            }
            next = cause.source();
        }
        causes
    }

    /// Whether the same command may succeed later, as it is.
    fn is_retryable(&self) -> bool {
        use tollway_client::Error as E;
        match self {
            Self::Fetch(error) => {
                matches!(**error, E::Http(_) | E::NoAnswer { .. } | E::Unknown { .. } | E::Open(_))
            }
            Self::Status { status, .. } => is_transient(*status),
            Self::BrokeOff(_) | Self::TooSlow | Self::TimedOut { .. } | Self::Compressed(_) => true,
            Self::Open(OpenError::Node(_)) => true,
            _ => false,
        }
    }

    /// Whether the same command, run again, pays nothing twice. The wallet sees to that: where the
    /// wallet itself is what failed, somebody should look at it first.
    fn is_safe_to_retry(&self) -> bool {
        use tollway_client::Error as E;
        match self {
            Self::Fetch(error) => !matches!(**error, E::Wallet(_) | E::NotStored { .. }),
            Self::Wallet(_) => false,
            Self::Node(failure) => failure.is_safe_to_retry(),
            _ => true,
        }
    }
}

fn moved_word(moved: MoneyMoved) -> &'static str {
    match moved {
        MoneyMoved::No => "no",
        MoneyMoved::Yes => "yes",
        MoneyMoved::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use l402::operator::OperateError;
    use l402::{NodeError, NodeErrorKind};

    use super::*;
    use crate::node::NodeFailure;

    #[test]
    fn money_that_may_have_been_sent_is_not_safe_to_be_sent_again() {
        for in_doubt in [OperateError::MayHaveSent, OperateError::MayHaveOpened] {
            let lost = NodeError::new("lnd", NodeErrorKind::Timeout);
            let failure = NodeFailure::from(in_doubt(lost));
            assert_eq!(failure.exit(), Exit::MayHavePaid);
            let told = Failure::from(failure).json(Exit::MayHavePaid);
            assert_eq!(
                (&told["money_moved"], &told["safe_to_retry"], &told["kind"]),
                (&"unknown".into(), &false.into(), &"unknown".into())
            );
            assert!(told["hint"].as_str().unwrap().contains("before you run it again"), "{told}");
        }
        let refused = NodeError::new("lnd", NodeErrorKind::Refused);
        let refused = Failure::from(NodeFailure::from(OperateError::from(refused)));
        assert_eq!(refused.json(Exit::General)["safe_to_retry"], true);
    }
}
