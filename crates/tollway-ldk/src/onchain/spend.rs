//! Transactions that the wallet builds itself: for channels, and for its owner.

use bdk_wallet::SignOptions;
use bdk_wallet::bitcoin::Psbt;
use bdk_wallet::coin_selection::LargestFirstCoinSelection;
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
        let draft = draft(&mut kept, script.clone(), amount, feerate).map_err(&short)?;
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
        let mut psbt = draft(&mut kept, script, amount, feerate).map_err(&short)?;
        let signed = kept.bdk.sign(&mut psbt, SignOptions::default());
        signed.map_err(|error| short(error.to_string()))?;
        let transaction = psbt.extract_tx().map_err(|error| short(error.to_string()))?;
        kept.reserved.extend(transaction.input.iter().map(|input| input.previous_output));
        self.keep(&mut kept)?;
        Ok(transaction)
    }

    fn short(&self, amount: Option<Sat>) -> impl Fn(String) -> WalletError + use<> {
        let wanted = amount.unwrap_or_else(|| self.balance().confirmed);
        move |why| WalletError::Funds { wanted, why }
    }

    /// Frees what a transaction of [`Wallet::fund`] that will never be sent would have spent.
    pub(crate) fn forget(&self, transaction: &Transaction) {
        let mut kept = self.lock();
        for input in &transaction.input {
            kept.reserved.remove(&input.previous_output);
        }
    }
}

/// A transaction that is not signed: of that amount, or of all that is in blocks.
fn draft(
    kept: &mut Kept,
    script: ScriptBuf,
    amount: Option<Sat>,
    feerate: FeeRate,
) -> Result<Psbt, String> {
    let reserved = kept.reserved.iter().copied().collect();
    let Some(amount) = amount else {
        let mut builder = kept.bdk.build_tx();
        builder.drain_wallet().drain_to(script).fee_rate(feerate);
        builder.unspendable(reserved).exclude_unconfirmed();
        return builder.finish().map_err(|error| error.to_string());
    };
    // The largest coins first, so that as many as possible stay: each channel wants one of its own
    // to pay for its closing.
    let mut builder = kept.bdk.build_tx().coin_selection(LargestFirstCoinSelection);
    builder.add_recipient(script, Amount::from_sat(amount.sat())).fee_rate(feerate);
    builder.unspendable(reserved).exclude_unconfirmed();
    builder.finish().map_err(|error| error.to_string())
}
