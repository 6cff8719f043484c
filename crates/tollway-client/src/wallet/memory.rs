//! A wallet that is forgotten with its process: for programs that buy and are done, and for those
//! that keep one wallet per customer.

use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use async_trait::async_trait;
use l402::{Paid, PaymentHash};

use super::claim::{Once, Turns};
use super::{Claim, MOST_OTHERS, Purchase, Receipt, Standing, Token, Wallet, WalletError};
use crate::origin::Origin;

/// A wallet in memory. A payment whose end is not known when the process ends is known to nobody
/// but the node: use [`SqliteWallet`](super::SqliteWallet) where that matters.
#[derive(Debug, Default)]
pub struct MemoryWallet {
    books: Mutex<Books>,
    turns: Turns,
}

#[derive(Debug, Default)]
struct Books {
    begun: Vec<Purchase>,
    finished: Vec<Token>,
}

impl MemoryWallet {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("nothing panics under this lock")
    }
}

#[async_trait]
impl Wallet for MemoryWallet {
    async fn claim(
        &self,
        origin: &Origin,
        waiting: &(dyn Fn() + Send + Sync),
    ) -> Result<Claim, WalletError> {
        let turn = self.turns.take(origin, &mut Once::new(waiting)).await;
        Ok(Claim::new(origin.clone(), turn))
    }

    async fn find(&self, origin: &Origin, path: &str) -> Result<Vec<Token>, WalletError> {
        let mut others = 0;
        let kept = |token: &&Token| {
            let Token { purchase, standing, .. } = token;
            if purchase.origin != *origin || *standing == Standing::Quarantined {
                return false;
            }
            others += usize::from(purchase.path != path);
            purchase.path == path || others <= MOST_OTHERS
        };
        Ok(self.books().finished.iter().rev().filter(kept).cloned().collect())
    }

    async fn pending(&self, origin: Option<&Origin>) -> Result<Vec<Purchase>, WalletError> {
        let wanted = |purchase: &&Purchase| origin.is_none_or(|origin| purchase.origin == *origin);
        Ok(self.books().begun.iter().filter(wanted).cloned().collect())
    }

    async fn begin(&self, claim: &Claim, purchase: &Purchase) -> Result<(), WalletError> {
        claim.covers(purchase)?;
        let (mut books, hash) = (self.books(), purchase.hash());
        if books.finished.iter().any(|token| token.hash() == hash) {
            return Err(WalletError::AlreadyPaid(hash));
        }
        match books.begun.iter().find(|begun| begun.hash() == hash) {
            Some(begun) => claim.covers(begun),
            None => {
                books.begun.push(purchase.clone());
                Ok(())
            }
        }
    }

    async fn finish(
        &self,
        claim: &Claim,
        hash: PaymentHash,
        paid: &Paid,
        at: SystemTime,
    ) -> Result<Receipt, WalletError> {
        let mut books = self.books();
        if let Some(token) = books.finished.iter().find(|token| token.hash() == hash) {
            return Ok(token.receipt());
        }
        let begun = books.begun.iter().position(|begun| begun.hash() == hash);
        let begun = begun.ok_or(WalletError::NotBegun(hash))?;
        claim.covers(&books.begun[begun])?;
        let token = Token {
            purchase: books.begun.remove(begun),
            preimage: paid.preimage.clone(),
            fee: paid.fee,
            paid_at: at,
            standing: Standing::Fresh,
        };
        let receipt = token.receipt();
        books.finished.push(token);
        Ok(receipt)
    }

    async fn forget(&self, claim: &Claim, hash: PaymentHash) -> Result<(), WalletError> {
        let mut books = self.books();
        if let Some(begun) = books.begun.iter().find(|begun| begun.hash() == hash) {
            claim.covers(begun)?;
        }
        books.begun.retain(|begun| begun.hash() != hash);
        Ok(())
    }

    async fn judge(&self, hash: PaymentHash, standing: Standing) -> Result<(), WalletError> {
        let mut books = self.books();
        let token = books.finished.iter_mut().find(|token| token.hash() == hash);
        token.ok_or(WalletError::NotBegun(hash))?.standing = standing;
        Ok(())
    }

    async fn receipts(&self) -> Result<Vec<Receipt>, WalletError> {
        Ok(self.books().finished.iter().rev().map(Token::receipt).collect())
    }
}
