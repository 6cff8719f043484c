//! Invoices that are paid by themselves and buy no token. They count against the same limits as
//! purchases, as payments to a host that is named by the payee's key; beyond that the wallet knows
//! nothing of them.

use std::time::SystemTime;

use l402::{Invoice, Msat, PaymentHash};
use rusqlite::{OptionalExtension, params};

use super::SqliteWallet;
use super::ledger::{self, Payment};
use crate::origin::Origin;
use crate::wallet::{Reserve, WalletError};

impl SqliteWallet {
    /// Sets aside what an invoice may cost, before it is paid. Of one that is paid once more the larger
    /// sum is set aside; one whose cost is written down is not counted again.
    ///
    /// # Errors
    /// [`WalletError::OverLimit`] when a limit does not allow it. Then nothing is set aside.
    pub async fn set_aside(
        &self,
        invoice: &Invoice,
        reserve: Reserve<'_>,
        now: SystemTime,
    ) -> Result<(), WalletError> {
        let (hash, origin) = (invoice.payment_hash(), Origin::of_payee(invoice.payee()));
        let (asked, limits) = (reserve.asked, reserve.limits.to_vec());
        self.write(move |rows| {
            let spent = "SELECT spent_msat > 0 FROM spending WHERE hash = ?1";
            let spent = rows.query_row(spent, [hash.to_string()], |row| row.get(0)).optional()?;
            if spent == Some(true) {
                return Ok(());
            }
            ledger::reserve(rows, &Payment { hash, origin: &origin, at: now }, asked, limits)
        })
        .await
    }

    /// Writes down what such a payment cost, routing included, in the place of what was set aside.
    ///
    /// # Errors
    /// [`WalletError::Storage`].
    pub async fn spent(
        &self,
        hash: PaymentHash,
        cost: Msat,
        at: SystemTime,
    ) -> Result<(), WalletError> {
        self.write(move |rows| match is_held_for_itself(rows, hash)? {
            true => ledger::spent(rows, hash, cost, at),
            false => Ok(()),
        })
        .await
    }

    /// Gives back what was set aside for such a payment, which by the node's word was not made.
    ///
    /// # Errors
    /// [`WalletError::Storage`].
    pub async fn give_back(&self, hash: PaymentHash) -> Result<(), WalletError> {
        self.write(move |rows| {
            if is_held_for_itself(rows, hash)? {
                let give_back = "UPDATE spending SET held_msat = 0 WHERE hash = ?1";
                rows.execute(give_back, params![hash.to_string()])?;
            }
            Ok(())
        })
        .await
    }
}

/// Whether something is set aside for a payment that is no purchase: those end in their own way.
fn is_held_for_itself(
    rows: &rusqlite::Connection,
    hash: PaymentHash,
) -> Result<bool, rusqlite::Error> {
    let held = "SELECT EXISTS (SELECT 1 FROM spending WHERE hash = ?1 AND held_msat > 0) \
                AND NOT EXISTS (SELECT 1 FROM payment WHERE hash = ?1)";
    rows.query_row(held, [hash.to_string()], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use l402::Invoicer as _;
    use testkit::FakeNetwork;

    use super::*;
    use crate::policy::{Limit, Scope, Window};
    use crate::wallet::Ledger as _;

    fn sat(sat: u64) -> Msat {
        Msat::from_sat(sat).unwrap()
    }

    #[tokio::test]
    async fn what_was_paid_by_itself_counts_once_and_what_was_not_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let wallet = SqliteWallet::open(folder.path().join("wallet.sqlite")).await.unwrap();
        let (_, seller) = FakeNetwork::pair();
        let hour = Duration::from_secs(3600);
        let invoice = async || seller.invoice(sat(10), "x", hour).await.unwrap();
        let (one, two) = (invoice().await, invoice().await);
        let limits = [Limit { most: sat(25), per: Window::Ever, of: Scope::All }];
        let now = SystemTime::now();
        let reserve = |asked| Reserve { asked: sat(asked), limits: &limits };
        let counts = async || {
            let accounts = wallet.accounts(&limits, now).await.unwrap();
            (accounts[0].spent, accounts[0].held)
        };

        wallet.set_aside(&one, reserve(15), now).await.unwrap();
        wallet.set_aside(&one, reserve(15), now).await.unwrap();
        assert_eq!(counts().await, (Msat::ZERO, sat(15)));
        let over = wallet.set_aside(&two, reserve(15), now).await;
        assert!(matches!(over, Err(WalletError::OverLimit(_))), "{over:?}");
        wallet.spent(one.payment_hash(), sat(11), now).await.unwrap();
        assert_eq!(counts().await, (sat(11), Msat::ZERO));

        // Run once more: it is the same payment.
        wallet.set_aside(&one, reserve(15), now).await.unwrap();
        wallet.spent(one.payment_hash(), sat(11), now).await.unwrap();
        wallet.give_back(one.payment_hash()).await.unwrap();
        assert_eq!(counts().await, (sat(11), Msat::ZERO));

        wallet.set_aside(&two, reserve(14), now).await.unwrap();
        assert_eq!(counts().await, (sat(11), sat(14)));
        wallet.give_back(two.payment_hash()).await.unwrap();
        assert_eq!(counts().await, (sat(11), Msat::ZERO));
    }
}
