//! A wallet of LNbits for its owner. The node behind it is the server's and not the wallet's: it has
//! no channels to show.

use std::sync::Arc;

use async_trait::async_trait;
use l402::operator::{
    About, Balance, Direction, OperateError, Right, Rights, Transfer, TransferState,
};
use l402::{Msat, Network, Operator, PaymentHash};
use serde::{Deserialize, Deserializer, de};

use super::{NAME, Purse};
use crate::api::Api;
use crate::http::Call;
use crate::remote::newest_first;

/// A wallet that is asked by its owner.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) api: Arc<Api>,
    pub(super) network: Network,
}

/// A row of `GET /api/v1/payments`. What went out has negative amounts, in millisatoshi.
#[derive(Debug, Deserialize)]
struct Row {
    payment_hash: PaymentHash,
    amount: i64,
    fee: i64,
    status: Option<String>,
    #[serde(default)]
    pending: bool,
    memo: Option<String>,
    #[serde(default, deserialize_with = "moment")]
    time: Option<u64>,
}

impl From<Row> for Transfer {
    fn from(row: Row) -> Self {
        let state = match row.status.as_deref() {
            Some("success") => TransferState::Paid,
            Some("failed") => TransferState::NotPaid,
            None if !row.pending => TransferState::Paid,
            _ => TransferState::Pending,
        };
        let sent = row.amount < 0;
        Self {
            direction: if sent { Direction::Sent } else { Direction::Received },
            hash: row.payment_hash,
            state,
            amount: Msat::from_msat(row.amount.unsigned_abs()),
            fee: (sent && state == TransferState::Paid)
                .then_some(Msat::from_msat(row.fee.unsigned_abs())),
            at: row.time,
            memo: row.memo,
        }
    }
}

#[async_trait]
impl Operator for Owner {
    fn driver(&self) -> &'static str {
        NAME
    }

    async fn about(&self) -> Result<About, OperateError> {
        let (purse, clock_ahead_s) = self.api.info::<Purse>(Call::get("/api/v1/wallet")).await?;
        Ok(About {
            alias: purse.name,
            network: Some(self.network),
            clock_ahead_s,
            ..About::default()
        })
    }

    async fn rights(&self) -> Result<Rights, OperateError> {
        let purse: Purse = self.api.asked(Call::get("/api/v1/wallet")).await?;
        let is_admin = purse.id.is_some();
        let (admin, invoice) =
            ("use the wallet's admin key", "To be paid only, use the wallet's invoice/read key");
        Ok(Rights {
            pay: Right::unless((!is_admin).then(|| admin.to_owned())),
            be_paid: Right::Yes,
            observe: Right::Yes,
            too_wide: is_admin.then(|| invoice.to_owned()),
        })
    }

    async fn balance(&self) -> Result<Balance, OperateError> {
        let purse: Purse = self.api.asked(Call::get("/api/v1/wallet")).await?;
        let outbound = purse.balance.map(|msat| Msat::from_msat(msat.try_into().unwrap_or(0)));
        Ok(Balance { outbound, ..Balance::default() })
    }

    async fn payments(&self, most: usize) -> Result<Vec<Transfer>, OperateError> {
        let path = format!("/api/v1/payments?limit={most}&sortby=time&direction=desc");
        let rows: Vec<Row> = self.api.asked(Call::get(path)).await?;
        Ok(newest_first(rows.into_iter().map(Transfer::from), most))
    }
}

/// Seconds since 1970, or, since version 1.0, a date: `2026-01-31T12:30:00.123456+00:00`.
fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Time {
        Number(u64),
        Date(String),
    }
    match Option::<Time>::deserialize(from)? {
        None => Ok(None),
        Some(Time::Number(seconds)) => Ok(Some(seconds)),
        Some(Time::Date(text)) => {
            seconds(&text).map(Some).ok_or_else(|| de::Error::custom("no date"))
        }
    }
}

/// Seconds from 1970 to a date in UTC, which is how LNbits keeps them. What follows the seconds is
/// not read.
fn seconds(date: &str) -> Option<u64> {
    let part = |from: usize, to: usize| date.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    // Counted from March, so that the leap day is the year's last.
    let (year, month) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    let days = days.checked_sub(719_469)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_numbers_are_the_same_moments() {
        for (date, at) in [
            ("1970-01-01T00:00:00", 0),
            ("2000-02-29T00:00:00+00:00", 951_782_400),
            ("2000-03-01 00:00:00", 951_868_800),
            ("2024-12-31T23:59:59.999999+00:00", 1_735_689_599),
        ] {
            assert_eq!(seconds(date), Some(at), "{date}");
        }
        assert_eq!(seconds("soon"), None);
    }
}
