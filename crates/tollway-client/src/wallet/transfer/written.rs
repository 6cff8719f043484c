//! One payment as it stands in an export.

use std::time::{Duration, SystemTime};

use l402::{Invoice, Msat, PaymentHash, Preimage, Scheme, Secret, scheme};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ImportError;
use crate::origin::Origin;
use crate::wallet::entry::Common;
use crate::wallet::{Entry, Purchase, Standing, Token};

/// Times are milliseconds since 1970, amounts millisatoshi.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    hash: String,
    origin: String,
    method: String,
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(default, with = "optional_secret", skip_serializing_if = "Option::is_none")]
    query: Option<Secret<String>>,
    scheme: String,
    #[serde(with = "secret")]
    token: Secret<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invoice: Option<String>,
    amount_msat: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    begun_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    #[serde(with = "secret")]
    preimage: Secret<String>,
    fee_msat: u64,
    paid_ms: u64,
    standing: String,
}

mod secret {
    use super::{Deserialize, Deserializer, Secret, Serializer};

    pub(super) fn serialize<S: Serializer>(
        secret: &Secret<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Secret<String>, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

mod optional_secret {
    use super::{Deserialize, Deserializer, Secret, Serializer};

    pub(super) fn serialize<S: Serializer>(
        secret: &Option<Secret<String>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => serializer.serialize_some(secret.expose()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret<String>>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map(Secret::new))
    }
}

fn to_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl From<&Entry> for Written {
    fn from(entry: &Entry) -> Self {
        let Common { scheme, token, invoice, target, query, node, begun_at } = entry.common();
        let proof = entry.token().map(|token| Proof {
            preimage: Secret::new(token.preimage.expose_hex()),
            fee_msat: token.fee.msat(),
            paid_ms: to_ms(token.paid_at),
            standing: token.standing.name().to_owned(),
        });
        Self {
            hash: entry.hash().to_string(),
            origin: entry.origin().to_string(),
            method: entry.method().to_string(),
            path: entry.path().to_owned(),
            target: target.map(|target| target.to_string()),
            query: query.cloned(),
            scheme: scheme.name().to_owned(),
            token: Secret::new(token.as_str().to_owned()),
            invoice: invoice.map(ToString::to_string),
            amount_msat: entry.amount().msat(),
            node: node.map(str::to_owned),
            begun_ms: to_ms(begun_at),
            proof,
        }
    }
}

impl Written {
    /// The payment, checked.
    pub(super) fn entry(self) -> Result<Entry, ImportError> {
        let damaged = |what| ImportError::Damaged { hash: self.hash.clone(), what };
        let hash: PaymentHash = self.hash.parse().map_err(|_| damaged("hash"))?;
        let scheme = scheme::find(&self.scheme).ok_or_else(|| damaged("scheme"))?;
        let token = l402::Token::new(self.token.expose()).map_err(|_| damaged("token"))?;
        let invoice = self.invoice.as_deref().map(Invoice::parse).transpose();
        let invoice = invoice.map_err(|_| damaged("invoice"))?;
        belong_together(scheme, &token, invoice.as_ref(), hash).map_err(damaged)?;
        let time = |ms, what| {
            let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms));
            // A column holds no more than this.
            time.filter(|_| i64::try_from(ms).is_ok()).ok_or_else(|| damaged(what))
        };
        let amount = |msat, what| {
            let amount = Msat::from_msat(msat);
            if amount > Msat::SUPPLY { Err(damaged(what)) } else { Ok(amount) }
        };
        let origin: Origin = self.origin.parse().map_err(|_| damaged("origin"))?;
        let method = self.method.parse().map_err(|_| damaged("method"))?;
        let target = self.target.as_deref().map(str::parse).transpose();
        let target = target.map_err(|_| damaged("target"))?;
        let (path, query, node) = (self.path.clone(), self.query.clone(), self.node.clone());
        let begun_at = time(self.begun_ms, "begun_ms")?;
        let Some(proof) = &self.proof else {
            let invoice = invoice.ok_or_else(|| damaged("invoice"))?;
            let challenge = scheme.restore(token, invoice).map_err(|_| damaged("invoice"))?;
            return Ok(Entry::Begun(Purchase {
                origin,
                method,
                path,
                target,
                query,
                challenge,
                node,
                begun_at,
            }));
        };
        let preimage: Preimage =
            proof.preimage.expose().parse().map_err(|_| damaged("preimage"))?;
        if !preimage.opens(hash) {
            return Err(damaged("preimage"));
        }
        let written = amount(self.amount_msat, "amount_msat")?;
        Ok(Entry::Finished(Token {
            origin,
            method,
            path,
            target,
            query,
            scheme,
            token,
            hash,
            amount: invoice.as_ref().map_or(written, Invoice::amount),
            invoice,
            node,
            begun_at,
            preimage,
            fee: amount(proof.fee_msat, "fee_msat")?,
            paid_at: time(proof.paid_ms, "paid_ms")?,
            standing: Standing::from_name(&proof.standing).ok_or_else(|| damaged("standing"))?,
        }))
    }
}

/// Whether token, invoice and payment hash are about one payment.
pub(super) fn belong_together(
    scheme: &'static dyn Scheme,
    token: &l402::Token,
    invoice: Option<&Invoice>,
    hash: PaymentHash,
) -> Result<(), &'static str> {
    if let l402::Binding::Bound(bound) = token.binding()
        && bound != hash
    {
        return Err("token");
    }
    match invoice {
        Some(invoice) if invoice.payment_hash() != hash => Err("invoice"),
        Some(invoice) => match scheme.restore(token.clone(), invoice.clone()) {
            Ok(_) => Ok(()),
            Err(_) => Err("invoice"),
        },
        None => Ok(()),
    }
}
