//! A wallet that is not ours to drive: a telephone, say. The invoice is shown, somebody pays it, and
//! the preimage is brought back. What is bought that way stays begun in the wallet until then, and no
//! second invoice is asked for it while it is.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anstyle::AnsiColor;
use async_trait::async_trait;
use l402::{
    Invoice, Msat, Network, NodeError, NodeErrorKind, OpenError, Outcome, Paid, PayError, PayOrder,
    Payer, PaymentHash, Preimage,
};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde::Serialize;
use tollway_client::{PayerSource, SqliteWallet, Wallet};

use crate::fetch::flags::{AskError, read_file};
use crate::shell::Shell;
use crate::terminal::{STRONG, escape, paint};

/// By which a purchase is known to be paid by somebody else.
const NAME: &str = "external";

/// Somebody who pays, and brings the preimage.
#[derive(Clone, Debug)]
pub(crate) struct External {
    network: Network,
    preimage: Option<Preimage>,
    wallet: Arc<SqliteWallet>,
    /// What is to be paid.
    open: Arc<Mutex<Option<ToPay>>>,
}

/// What somebody is asked to pay.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ToPay {
    invoice: String,
    payment_hash: String,
    amount_msat: u64,
    description: Option<String>,
    #[serde(skip)]
    show_qr: bool,
}

impl External {
    /// On that network; with the preimage, once it was paid.
    pub(crate) fn new(
        network: Network,
        preimage: Option<Preimage>,
        wallet: Arc<SqliteWallet>,
    ) -> Self {
        Self { network, preimage, wallet, open: Arc::default() }
    }

    /// What is to be paid now, if anything is.
    pub(crate) fn to_pay(&self) -> Option<ToPay> {
        self.open.lock().expect("nothing panics under this lock").clone()
    }

    fn ask(&self, invoice: &Invoice) {
        let to_pay = ToPay {
            invoice: invoice.as_str().to_owned(),
            payment_hash: invoice.payment_hash().to_string(),
            amount_msat: invoice.amount().msat(),
            description: invoice.description(),
            show_qr: std::io::IsTerminal::is_terminal(&std::io::stdout()),
        };
        *self.open.lock().expect("nothing panics under this lock") = Some(to_pay);
    }
}

#[async_trait]
impl PayerSource for External {
    async fn open(&self) -> Result<Arc<dyn Payer>, OpenError> {
        Ok(Arc::new(self.clone()))
    }

    fn name(&self) -> Option<String> {
        Some(NAME.to_owned())
    }
}

#[async_trait]
impl Payer for External {
    fn network(&self) -> Network {
        self.network
    }

    /// Whether it is paid is not known from here on until the preimage is there.
    async fn pay(&self, order: PayOrder<'_>) -> Result<Paid, PayError> {
        self.ask(order.invoice);
        let hash = order.invoice.payment_hash();
        Err(PayError::Unknown { hash, source: NodeError::new(NAME, NodeErrorKind::Timeout) })
    }

    async fn outcome(&self, hash: PaymentHash) -> Result<Outcome, NodeError> {
        if let Some(preimage) = self.preimage.as_ref().filter(|preimage| preimage.opens(hash)) {
            // What routing cost only the other wallet knows.
            let paid = Paid { preimage: preimage.clone(), fee: Msat::ZERO };
            return Ok(Outcome::Paid(paid));
        }
        let failed = |_| NodeError::new(NAME, NodeErrorKind::Unreachable);
        let entry = self.wallet.entry(hash).await.map_err(failed)?;
        if let Some(purchase) = entry.as_ref().and_then(tollway_client::Entry::begun) {
            self.ask(&purchase.challenge.invoice);
        }
        Ok(Outcome::Pending)
    }
}

impl fmt::Display for ToPay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = Msat::from_msat(self.amount_msat);
        let what = self.description.as_deref().map(escape).unwrap_or_default();
        writeln!(f, "pay {} {what}", paint(STRONG, amount))?;
        // Upper case makes a smaller code, and an invoice is the same in both.
        if let Ok(code) = QrCode::new(self.invoice.to_uppercase())
            && self.show_qr
        {
            // Dark on light, whatever the terminal's own colours are: many readers know no other.
            let style = AnsiColor::Black.on(AnsiColor::BrightWhite);
            for line in code.render::<Dense1x2>().build().lines() {
                writeln!(f, "{style}{line}{style:#}")?;
            }
        }
        writeln!(f, "{}", escape(&self.invoice))?;
        write!(f, "then run the same command again with `--preimage file:PATH`, `env:NAME` or `-`")
    }
}

/// Reads a preimage from `file:PATH`, `env:NAME` or, for `-`, stdin; never from the command line,
/// where others can see it.
pub(crate) fn read_preimage(source: &str, shell: &Shell) -> Result<Preimage, AskError> {
    const FLAG: &str = "--preimage";
    let bad = |problem| AskError::Secret { flag: FLAG, problem };
    let text = if let Some(path) = source.strip_prefix("file:") {
        read_file(FLAG, &Path::new(path).display().to_string())?
    } else if let Some(name) = source.strip_prefix("env:") {
        shell.variable(name).ok_or(bad("the environment has no such variable"))?.into_bytes()
    } else if source == "-" {
        read_file(FLAG, "-")?
    } else {
        return Err(bad("write `file:PATH`, `env:NAME` or `-`: others can see a command line"));
    };
    let text = String::from_utf8(text).map_err(|_| bad("it is not 64 hexadecimal digits"))?;
    text.trim().parse().map_err(|_| bad("it is not 64 hexadecimal digits"))
}
