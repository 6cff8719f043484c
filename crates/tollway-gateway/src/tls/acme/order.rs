//! One certificate, from the question to the chain.

use std::io;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error as AcmeError, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use l402::Secret;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;

use super::cache::CertificateError;
use super::renewal::Life;
use super::web::Web;
use super::{Acme, Challenges};

/// How long the authority may take to look at a proof, and then to write the certificate.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(120));

/// No certificate was had.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// The authority refuses, or cannot be reached.
    #[error("the authority")]
    Acme(#[from] AcmeError),
    /// It looked, and did not find the proof.
    #[error("the authority did not find the proof: {0}")]
    NotProved(String),
    /// It wants a proof of another kind only.
    #[error("the authority does not take proofs over TLS (TLS-ALPN-01)")]
    NoChallenge,
    /// Keys could not be made.
    #[error("no key could be made")]
    Key(#[from] rcgen::Error),
    /// The proof could not be made.
    #[error("the proof cannot be shown")]
    Proof(#[from] rustls::Error),
    /// What it sent is no certificate for the name.
    #[error("what the authority sent")]
    Certificate(#[from] CertificateError),
    /// The folder.
    #[error("the folder for certificates")]
    Io(#[from] io::Error),
}

/// Asks for a certificate in the place of `old`, and returns the key and the chain as PEM.
pub(super) async fn order(
    acme: &Acme,
    domain: &str,
    old: Option<&Life>,
) -> Result<Secret<String>, OrderError> {
    let account = account(acme).await?;
    let names = [Identifier::Dns(domain.to_owned())];
    let mut order = match begin(&account, &names, old).await {
        Err(AcmeError::Api(problem)) if is_account_unknown(problem.r#type.as_deref()) => {
            // It was forgotten over there; with a new one all is well.
            acme.cache.forget_account()?;
            self::account(acme).await?.new_order(&NewOrder::new(&names)).await?
        }
        asked => asked?,
    };
    let shown = Shown { challenges: &acme.challenges, domain };
    prove(&shown, &mut order).await?;
    drop(shown);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([domain.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    order.finalize_csr(params.serialize_request(&key)?.der()).await?;
    let chain = order.poll_certificate(&PATIENCE).await?;
    let key = Secret::new(key.serialize_pem());
    Ok(Secret::new(format!("{}{chain}", key.expose())))
}

/// Says which certificate the new one replaces, so that the authority does not count it (RFC 9773 section
/// 5). One that does not take that, or does not know the old one any more, is asked without.
async fn begin(
    account: &Account,
    names: &[Identifier],
    old: Option<&Life>,
) -> Result<Order, AcmeError> {
    let plain = NewOrder::new(names);
    let Some(replaced) = old.and_then(Life::name) else { return account.new_order(&plain).await };
    match account.new_order(&NewOrder::new(names).replaces(replaced)).await {
        Err(AcmeError::Api(problem)) if is_account_unknown(problem.r#type.as_deref()) => {
            Err(AcmeError::Api(problem))
        }
        Err(AcmeError::Api(_) | AcmeError::Unsupported(_) | AcmeError::Other(_)) => {
            account.new_order(&plain).await
        }
        asked => asked,
    }
}

fn is_account_unknown(problem: Option<&str>) -> bool {
    problem == Some("urn:ietf:params:acme:error:accountDoesNotExist")
}

/// The account that was kept, or a new one, which is kept before it is used.
pub(super) async fn account(acme: &Acme) -> Result<Account, OrderError> {
    let builder = Account::builder_with_http(Box::new(Web::new(&acme.connector)));
    if let Some(kept) = acme.cache.account()? {
        let credentials = serde_json::from_slice(kept.expose()).map_err(AcmeError::Json)?;
        return Ok(builder.from_credentials(credentials).await?);
    }
    let contact: Vec<&str> = acme.config.contact.iter().map(String::as_str).collect();
    // The configuration is refused without `terms_agreed = true`.
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let directory = acme.config.directory.to_string();
    let (account, credentials) = builder.create(&new, directory, None).await?;
    let kept = Secret::new(serde_json::to_vec(&credentials).map_err(AcmeError::Json)?);
    acme.cache.keep_account(kept.expose())?;
    Ok(account)
}

/// A proof that is shown until this is dropped.
struct Shown<'a> {
    challenges: &'a Challenges,
    domain: &'a str,
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.challenges.set(self.domain, None);
    }
}

/// Shows the authority that the name leads here.
async fn prove(shown: &Shown<'_>, order: &mut Order) -> Result<(), OrderError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge =
            authorization.challenge(ChallengeType::TlsAlpn01).ok_or(OrderError::NoChallenge)?;
        let digest = challenge.key_authorization().digest();
        shown.challenges.set(shown.domain, Some(proof(shown.domain, digest.as_ref())?));
        challenge.set_ready().await?;
    }
    match order.poll_ready(&PATIENCE).await {
        Ok(OrderStatus::Ready) => Ok(()),
        Ok(_) | Err(AcmeError::Api(_)) => Err(OrderError::NotProved(why(order).await)),
        Err(error) => Err(error.into()),
    }
}

/// What the authority says about a proof that it did not find.
async fn why(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem {
            return problem.to_string();
        }
    }
    "it does not say why".to_owned()
}

/// The proof: a certificate for the name with a digest in it that only who asked can know (RFC 8737
/// section 3).
fn proof(domain: &str, digest: &[u8]) -> Result<CertifiedKey, OrderError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([domain.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let key = default_provider().key_provider.load_private_key(key.into())?;
    // They belong together, and nothing here could read the certificate to see: what makes it a proof
    // is an extension that has to be understood.
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}
