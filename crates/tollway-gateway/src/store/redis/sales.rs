//! Reading back what was sold.

use l402::{Msat, PaymentHash, TokenId};
use redis::AsyncCommands;

use super::{BILL, BILLS, COUNTS, LATEST, NAME, PAID, RedisStore, SERVICES, TOKENS, text};
use crate::store::sales::{Bounds, TooMuch, Totals};
use crate::store::{Bill, By, Pick, Span, StoreError, Total, Which, from_millis};

const DOING: &str = "read what was sold";
/// How many bills are added up at a time.
const SOME: u32 = 1_000;

impl RedisStore {
    /// One page.
    pub(super) async fn page(&self, pick: &Pick) -> Result<Vec<Bill>, StoreError> {
        let Bounds { from, after, hash } = pick.bounds();
        let all = match pick.by {
            By::Issued => BILLS,
            By::Settled => PAID,
        };
        let key = match &pick.service {
            None => all.to_owned(),
            Some(service) => format!("{all}:of:{service}"),
        };
        let limit = text(pick.limit.max(1));
        let arguments = [BILL.into(), text(from), text(after), text(hash), limit];
        let found: Vec<[String; 7]> = self.run(DOING, &LATEST, [key], arguments).await?;
        Ok(found.iter().filter_map(bill).collect())
    }

    /// One bill.
    pub(super) async fn one(&self, which: Which) -> Result<Option<Bill>, StoreError> {
        let mut connection = self.connection.clone();
        let find = async {
            let hash: Option<String> = match which {
                Which::Payment(hash) => Some(hash.to_string()),
                Which::Token(token) => connection.hget(TOKENS, token.to_string()).await?,
            };
            let Some(hash) = hash else { return Ok(None) };
            let fields = ["token", "service", "msat", "issued", "expires", "settled"];
            let row = redis::cmd("HMGET").arg(format!("{BILL}{hash}")).arg(&fields).to_owned();
            let row: [Option<String>; 6] = row.query_async(&mut connection).await?;
            let [token, service, msat, issued, expires, settled] =
                row.map(Option::unwrap_or_default);
            Ok(bill(&[hash, token, service, msat, issued, expires, settled]))
        };
        find.await.map_err(StoreError::failed::<redis::RedisError>(NAME, DOING))
    }

    /// Sums.
    pub(super) async fn sums(&self, span: &Span) -> Result<Vec<Total>, StoreError> {
        let mut connection = self.connection.clone();
        let services = match &span.service {
            Some(service) => vec![service.clone()],
            None => {
                let all: Result<Vec<String>, _> = connection.smembers(SERVICES).await;
                all.map_err(StoreError::failed(NAME, DOING))?
            }
        };
        let (from, to) = span.millis();
        let mut totals = Totals::default();
        for service in &services {
            let key = format!("{BILLS}:of:{service}");
            let days: Vec<(i64, u64)> =
                self.run(DOING, &COUNTS, [key], [text(from), text(to)]).await?;
            for (day, challenges) in days {
                totals.of(service, day).challenges = challenges;
            }
        }
        let (service, from, to) = (span.service.clone(), span.from, span.to);
        let mut pick = Pick { by: By::Settled, service, from, to, after: None, limit: SOME };
        loop {
            let some = self.page(&pick).await?;
            for bill in &some {
                totals.paid(bill).map_err(TooMuch::at(NAME))?;
            }
            match some.last() {
                Some(last) if some.len() == SOME as usize => pick.after = pick.place(last),
                _ => return Ok(totals.finish()),
            }
        }
    }
}

/// Reads what `bills.lua` returns of one bill.
fn bill([hash, token, service, msat, issued, expires, settled]: &[String; 7]) -> Option<Bill> {
    let time = |text: &str| Some(from_millis(text.parse().ok()?));
    let token: Option<PaymentHash> = token.parse().ok();
    Some(Bill {
        hash: hash.parse().ok()?,
        token: token.map(|bytes| TokenId(bytes.0)),
        service: service.clone(),
        price: msat.parse().ok().map(Msat::from_msat),
        issued: time(issued)?,
        expires: time(expires),
        settled: time(settled),
    })
}
