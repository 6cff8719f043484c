//! Transactions that the wallet builds itself: for channels, and for its owner.

use bdk_wallet::SignOptions;
use bdk_wallet::bitcoin::Psbt;
use bdk_wallet::coin_selection::LargestFirstCoinSelection;
use bdk_wallet::error::CreateTxError;
use bitcoin::{Amount, FeeRate, ScriptBuf, Transaction};
use l402::Sat;

use super::{Kept, Wallet, WalletError};

impl Wallet {
    /// Builds and signs a transaction that pays `amount` to `script`, from what is in blocks: a channel
    /// must not hang on a transaction that may never come. It is not sent; what it spends is reserved
    /// until it is, or until [`Wallet::forget`].
    pub(crate) fn fund(
        &self,
        script: ScriptBuf,
        amount: Sat,
        feerate: FeeRate,
    ) -> Result<Transaction, WalletError> {
        self.build(script, Some(amount), feerate)
    }

    /// As [`Wallet::fund`], with all that is in blocks, less the fee.
    pub(crate) fn empty(
        &self,
        script: ScriptBuf,
        feerate: FeeRate,
    ) -> Result<Transaction, WalletError> {
        self.build(script, None, feerate)
    }

    /// What such a transaction would bring to `script`, and its fee. Nothing is reserved.
    pub(crate) fn quote(
        &self,
        script: ScriptBuf,
        amount: Option<Sat>,
        feerate: FeeRate,
    ) -> Result<(Sat, Sat), WalletError> {
        let short = self.short(amount);
        let mut kept = self.lock();
        let draft = draft(&mut kept, script.clone(), amount, feerate);
        let draft = draft.map_err(|error| refused(error, amount, &short))?;
        let transaction = &draft.unsigned_tx;
        kept.bdk.cancel_tx(transaction);
        let fee = draft.fee().map_err(|error| short(error.to_string()))?;
        let arrives = transaction.output.iter().find(|output| output.script_pubkey == script);
        let arrives = arrives.map_or(Amount::ZERO, |output| output.value);
        Ok((Sat::from_sat(arrives.to_sat()), Sat::from_sat(fee.to_sat())))
    }

    fn build(
        &self,
        script: ScriptBuf,
        amount: Option<Sat>,
        feerate: FeeRate,
    ) -> Result<Transaction, WalletError> {
        let short = self.short(amount);
        let mut kept = self.lock();
        let psbt = draft(&mut kept, script, amount, feerate);
        let mut psbt = psbt.map_err(|error| refused(error, amount, &short))?;
        let signed = kept.bdk.sign(&mut psbt, SignOptions::default());
        signed.map_err(|error| short(error.to_string()))?;
        let transaction = psbt.extract_tx().map_err(|error| short(error.to_string()))?;
        kept.reserved.extend(transaction.input.iter().map(|input| input.previous_output));
        self.keep(&mut kept)?;
        Ok(transaction)
    }

    fn short(&self, amount: Option<Sat>) -> impl Fn(String) -> WalletError + use<> {
        let has = self.balance();
        let wanted = amount.unwrap_or(has.confirmed);
        let pending = match has.unconfirmed {
            pending if pending.sat() == 0 => String::new(),
            pending => format!("; {pending} can be spent when they are in a block"),
        };
        move |why| WalletError::Funds { wanted, why: format!("{why}{pending}") }
    }

    /// Frees what a transaction of [`Wallet::fund`] that will never be sent would have spent.
    pub(crate) fn forget(&self, transaction: &Transaction) {
        let mut kept = self.lock();
        for input in &transaction.input {
            kept.reserved.remove(&input.previous_output);
        }
    }
}

fn refused(
    error: CreateTxError,
    amount: Option<Sat>,
    short: impl Fn(String) -> WalletError,
) -> WalletError {
    match error {
        CreateTxError::OutputBelowDustLimit(_) => WalletError::Dust(amount.unwrap_or_default()),
        error => short(error.to_string()),
    }
}

/// A transaction that is not signed: of that amount, or of all that is in blocks.
fn draft(
    kept: &mut Kept,
    script: ScriptBuf,
    amount: Option<Sat>,
    feerate: FeeRate,
) -> Result<Psbt, CreateTxError> {
    let reserved = kept.reserved.iter().copied().collect();
    let Some(amount) = amount else {
        let mut builder = kept.bdk.build_tx();
        builder.drain_wallet().drain_to(script).fee_rate(feerate);
        builder.unspendable(reserved).exclude_unconfirmed();
        return builder.finish();
    };
    // The largest coins first, so that as many as possible stay: each channel wants one of its own
    // to pay for its closing.
    let mut builder = kept.bdk.build_tx().coin_selection(LargestFirstCoinSelection);
    builder.add_recipient(script, Amount::from_sat(amount.sat())).fee_rate(feerate);
    builder.unspendable(reserved).exclude_unconfirmed();
    builder.finish()
}
