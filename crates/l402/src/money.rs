//! Amounts. Only whole millisatoshi, only checked arithmetic, no floats: every sum of money in the
//! workspace goes through this file.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An amount of money in thousandths of a satoshi, the unit in which Lightning counts (BOLT 2).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Msat(u64);

/// An amount of money in whole satoshi, the unit of the chain.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Sat(u64);

/// All the bitcoin there will ever be, in satoshi. No amount read from text may exceed it.
const SUPPLY_SAT: u64 = 21_000_000 * 100_000_000;

impl Msat {
    /// Nothing at all.
    pub const ZERO: Self = Self(0);
    /// All the bitcoin there will ever be.
    pub const SUPPLY: Self = Self(SUPPLY_SAT * 1000);

    /// That many thousandths of a satoshi.
    pub const fn from_msat(msat: u64) -> Self {
        Self(msat)
    }

    /// That many satoshi, or `None` if it does not fit.
    pub const fn from_sat(sat: u64) -> Option<Self> {
        match sat.checked_mul(1000) {
            Some(msat) => Some(Self(msat)),
            None => None,
        }
    }

    /// The sum, or `None` if it does not fit.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The rest, or `None` if there is not that much.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// `parts` millionths of this amount, rounded up to the millisatoshi (fees round up).
    #[must_use]
    pub fn ppm_ceil(self, parts: u32) -> Self {
        let product = u128::from(self.0) * u128::from(parts);
        Self(u64::try_from(product.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }

    /// Thousandths of a satoshi.
    pub const fn msat(self) -> u64 {
        self.0
    }

    /// Whole satoshi, rounded up.
    pub const fn sat_ceil(self) -> Sat {
        Sat(self.0.div_ceil(1000))
    }
}

impl Sat {
    /// That many satoshi.
    pub const fn from_sat(sat: u64) -> Self {
        Self(sat)
    }

    /// Satoshi.
    pub const fn sat(self) -> u64 {
        self.0
    }

    /// The same amount in millisatoshi, or `None` if it does not fit.
    pub const fn to_msat(self) -> Option<Msat> {
        Msat::from_sat(self.0)
    }

    /// The sum, or `None` if it does not fit.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The rest, or `None` if there is not that much.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }
}

impl fmt::Display for Msat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 1000 {
            0 => write!(f, "{} sat", self.0 / 1000),
            rest => write!(f, "{}.{rest:03} sat", self.0 / 1000),
        }
    }
}

impl fmt::Display for Sat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sat", self.0)
    }
}

/// The text is not an amount of money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// No unit, or one we do not know.
    #[error("`{0}` has no unit; write for example `10 sat` or `1500 msat`")]
    Unit(String),
    /// Not a whole, non-negative number.
    #[error("`{0}` is not a whole number; write for example `10 sat` or `1500 msat`")]
    Number(String),
    /// More bitcoin than there will ever be.
    #[error("`{0}` is more than 21 million bitcoin")]
    TooMuch(String),
}

/// Reads `10 sat`, `10sat`, `1500 msat`. A number without a unit is refused.
impl FromStr for Msat {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let per_unit = match unit.trim() {
            "msat" => 1,
            "sat" | "sats" => 1000,
            // `1.5 sat` has a unit; it is the number that is wrong.
            rest if digits.is_empty() || rest.ends_with("sat") || rest.ends_with("sats") => {
                return Err(AmountError::Number(text.to_owned()));
            }
            _ => return Err(AmountError::Unit(text.to_owned())),
        };
        if digits.is_empty() {
            return Err(AmountError::Number(text.to_owned()));
        }
        let too_much = || AmountError::TooMuch(text.to_owned());
        let count: u64 = digits.parse().map_err(|_| too_much())?;
        let amount = Self(count.checked_mul(per_unit).ok_or_else(too_much)?);
        if amount > Self::SUPPLY { Err(too_much()) } else { Ok(amount) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_amount_needs_a_unit() {
        assert_eq!("10 sat".parse(), Ok(Msat(10_000)));
        assert_eq!("10sat".parse(), Ok(Msat(10_000)));
        assert_eq!("1500 msat".parse(), Ok(Msat(1_500)));
        for bad in ["10", "", "sat", "-1 sat", "1.5 sat", "1e3 sat", "10 btc", "10 sat sat"] {
            assert!(bad.parse::<Msat>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_amount_is_what_is_said() {
        for bad in ["1.5 sat", "1,5 sats", "1e3 msat", "-1 sat", "", "sat"] {
            assert_eq!(bad.parse::<Msat>(), Err(AmountError::Number(bad.to_owned())));
        }
        for bad in ["10", "10 btc", "10 sat per day"] {
            assert_eq!(bad.parse::<Msat>(), Err(AmountError::Unit(bad.to_owned())));
        }
    }

    #[test]
    fn more_than_all_bitcoin_is_refused() {
        assert_eq!("2100000000000000 sat".parse(), Ok(Msat::SUPPLY));
        for bad in ["2100000000000001 sat", "99999999999999999999999 msat"] {
            assert!(matches!(bad.parse::<Msat>(), Err(AmountError::TooMuch(_))), "{bad}");
        }
    }

    #[test]
    fn fees_round_up() {
        assert_eq!(Msat(1).ppm_ceil(1), Msat(1));
        assert_eq!(Msat(1_000_000).ppm_ceil(10), Msat(10));
        assert_eq!(Msat(1001).sat_ceil(), Sat(2));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(sat in 0..SUPPLY_SAT) {
            let amount = Msat::from_sat(sat).expect("below the supply");
            prop_assert_eq!(amount.to_string().parse::<Msat>(), Ok(amount));
        }

        #[test]
        fn sums_never_wrap(a: u64, b: u64) {
            match Msat(a).checked_add(Msat(b)) {
                Some(sum) => prop_assert_eq!(sum.checked_sub(Msat(b)), Some(Msat(a))),
                None => prop_assert!(a > u64::MAX - b),
            }
        }
    }
}
