//! What several commands' flags have in common.

use std::path::{Path, PathBuf};

use l402::{AmountError, Msat, Sat};

use crate::failure::Failure;

/// A path that means the same to a process in another folder, for URLs that are printed.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|source| Failure::Io { what: format!("finding {}", path.display()), source })
}

/// Reads an amount; a bare number is satoshi, as people say it on a command line.
pub(crate) fn amount(text: &str) -> Result<Msat, AmountError> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("{text} sat").parse().map_err(|error| match error {
            AmountError::TooMuch(_) => AmountError::TooMuch(text.to_owned()),
            other => other,
        });
    }
    text.parse()
}

/// An amount that must be whole satoshi, as everything on the chain is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WholeSatError {
    /// No amount at all.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// There is no such coin.
    #[error("{0} is not a whole number of satoshi")]
    Fraction(Msat),
}

/// Reads an amount of whole satoshi.
pub(crate) fn whole_sat(text: &str) -> Result<Sat, WholeSatError> {
    let amount = amount(text)?;
    let sat = amount.sat_ceil();
    if sat.to_msat() == Some(amount) { Ok(sat) } else { Err(WholeSatError::Fraction(amount)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_satoshi() {
        for (text, msat) in [("100", 100_000), ("100sat", 100_000), ("1500 msat", 1_500), ("0", 0)]
        {
            assert_eq!(amount(text), Ok(Msat::from_msat(msat)), "{text}");
        }
        for bad in ["", "-1", "1.5", "1 btc", "99999999999999999999"] {
            assert!(amount(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_goes_on_the_chain_is_whole() {
        assert_eq!(whole_sat("5").unwrap(), Sat::from_sat(5));
        assert_eq!(whole_sat("5000 msat").unwrap(), Sat::from_sat(5));
        assert!(matches!(whole_sat("5001 msat"), Err(WholeSatError::Fraction(_))));
    }
}
