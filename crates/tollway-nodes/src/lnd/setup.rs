//! A new lnd, from the first start of its program to the macaroon that we use. Everything here goes
//! over TLS to the holder of the certificate that lnd has just written: until there is a wallet,
//! whoever answers first could choose the seed.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hex::FromHex;
use l402::{NodeError, NodeErrorKind, Secret};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::fault::{self, Trouble};
use super::macaroon::{self, Part};
use super::rest::Rest;
use super::{NAME, books::Nothing};
use crate::http::{Call, Trust, Web};
use crate::watched::Kept;

/// What somebody is to do with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LndPart {
    /// Pay.
    Buyer,
    /// Be paid.
    Seller,
    /// Look at balance, channels and payments.
    Observer,
}

impl LndPart {
    fn part(self) -> &'static Part {
        match self {
            Self::Buyer => &macaroon::BUYER,
            Self::Seller => &macaroon::SELLER,
            Self::Observer => &macaroon::OBSERVER,
        }
    }
}

/// How far an lnd has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LndState {
    /// It is starting.
    Starting,
    /// It waits for a wallet to be created.
    NoWallet,
    /// It waits for its wallet's password.
    Locked,
    /// It takes calls. It may still be behind the chain.
    Active,
}

/// An lnd that is being set up.
#[derive(Debug)]
pub struct LndSetup {
    rest: Rest,
    web: (String, u16),
    cert: std::path::PathBuf,
}

/// A wallet's seed: 24 words, which are all that brings the money on the chain back.
pub type Seed = Secret<Vec<String>>;

#[derive(Deserialize)]
struct Generated {
    cipher_seed_mnemonic: Vec<String>,
}

#[derive(Deserialize)]
struct Baked {
    macaroon: String,
}

impl LndSetup {
    /// The lnd whose REST port is there, and which holds the key of the certificate in that file.
    pub fn new(host: &str, port: u16, cert: &Path) -> Self {
        // Nothing is signed before there is a macaroon: the setup's own calls need none.
        Self::with(
            host,
            port,
            cert,
            Kept::Given {
                place: "nowhere".to_owned(),
                secret: Arc::new(Secret::new(String::new())),
            },
        )
    }

    fn with(host: &str, port: u16, cert: &Path, macaroon: Kept) -> Self {
        let web = Web::new(host, port, Some(Trust::pinned(cert.to_owned())));
        let rest = Rest::new(web, macaroon);
        Self { rest, web: (host.to_owned(), port), cert: cert.to_owned() }
    }

    /// How far it has come.
    ///
    /// # Errors
    /// It cannot be reached, or shows another certificate.
    pub async fn state(&self) -> Result<LndState, NodeError> {
        Ok(match self.rest.state().await?.as_str() {
            "NON_EXISTING" => LndState::NoWallet,
            "LOCKED" => LndState::Locked,
            "RPC_ACTIVE" | "SERVER_ACTIVE" => LndState::Active,
            _ => LndState::Starting,
        })
    }

    /// A fresh seed. Nothing is created yet.
    ///
    /// # Errors
    /// It cannot be reached, or has a wallet.
    pub async fn new_seed(&self) -> Result<Seed, NodeError> {
        let call = Call::get("/v1/genseed");
        let made = self.rest.unsigned::<Generated>(call, "/lnrpc.WalletUnlocker/GenSeed").await?;
        Ok(Secret::new(made.cipher_seed_mnemonic))
    }

    /// Creates the wallet of that seed.
    ///
    /// # Errors
    /// It cannot be reached, has a wallet, or finds the password too short (8 bytes).
    pub async fn create_wallet(
        &self,
        seed: &Seed,
        password: &Secret<String>,
    ) -> Result<(), NodeError> {
        let wallet = json!({
            "wallet_password": BASE64_STANDARD.encode(password.expose()),
            "cipher_seed_mnemonic": seed.expose(),
        });
        let call = Call::post("/v1/initwallet", &wallet);
        self.rest.unsigned::<serde_json::Value>(call, "/lnrpc.WalletUnlocker/InitWallet").await?;
        Ok(())
    }

    /// Opens the wallet.
    ///
    /// # Errors
    /// It cannot be reached, or the password is wrong.
    pub async fn unlock(&self, password: &Secret<String>) -> Result<(), NodeError> {
        let unlock = json!({ "wallet_password": BASE64_STANDARD.encode(password.expose()) });
        let call = Call::post("/v1/unlockwallet", &unlock);
        let Nothing {} = self.rest.unsigned(call, "/lnrpc.WalletUnlocker/UnlockWallet").await?;
        Ok(())
    }

    /// Bakes a macaroon that may do exactly what those parts need, with the macaroon in that file. It
    /// hangs on a root key of its own: `lncli deletemacaroonid` with that number ends it.
    ///
    /// # Errors
    /// It cannot be reached, or the macaroon may not bake.
    pub async fn bake(
        &self,
        admin: &Path,
        parts: &[LndPart],
        root_key: u64,
    ) -> Result<Zeroizing<Vec<u8>>, NodeError> {
        let (host, port) = &self.web;
        let signed = Self::with(host, *port, &self.cert, Kept::File(admin.to_owned())).rest;
        let mut calls: Vec<&str> = parts.iter().flat_map(|part| part.part().calls()).collect();
        calls.sort_unstable();
        calls.dedup();
        let permissions: Vec<_> =
            calls.iter().map(|call| json!({ "entity": "uri", "action": call })).collect();
        let order = json!({ "permissions": permissions, "root_key_id": root_key.to_string() });
        let call = Call::post("/v1/macaroon", &order);
        let baked: Baked = signed.query(call, "/lnrpc.Lightning/BakeMacaroon").await?;
        let text = Zeroizing::new(baked.macaroon);
        let no_macaroon = |_| {
            let strange = std::io::Error::new(std::io::ErrorKind::InvalidData, "no hexadecimal");
            fault::error(NodeErrorKind::Protocol, Trouble::NoMacaroon(strange))
        };
        Vec::from_hex(&text).map(Zeroizing::new).map_err(no_macaroon)
    }

    /// The driver's name, for errors.
    pub const fn driver() -> &'static str {
        NAME
    }
}
