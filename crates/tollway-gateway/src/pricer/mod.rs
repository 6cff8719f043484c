//! Prices that are not written in the configuration: asked of another program, or reckoned from a rate.
//! One file for each way. Whatever goes wrong on the way is an error and never a price of zero: the
//! request is then told to come back, and nobody is billed.

mod aperture;
mod cached;
mod fiat;
mod http;
mod web;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use l402::Msat;

use crate::config::{self, Quote};
use crate::rule::Price;
use crate::upstream::CertificatesError;
use cached::Cached;
use fiat::{Fiat, Rates};
use web::Web;

pub use web::WebError;

/// Finds out what a token for one route costs.
#[async_trait]
pub trait Pricer: fmt::Debug + Send + Sync {
    /// The price. It may depend on the route and on the time, and on nothing else of the request: the
    /// token that is sold at this price opens this route, whatever the query and the body say.
    ///
    /// # Errors
    /// There is none to be had. Nobody is billed then, and nobody passes.
    async fn price(&self, route: &Route<'_>) -> Result<Msat, PriceError>;
}

/// What is to be priced.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The service.
    pub service: &'a str,
    /// The rule that covers the request; `base` when none does.
    pub rule: &'a str,
    /// The method.
    pub method: &'a str,
    /// The path that the client sent, without the query.
    pub path: &'a str,
    /// The host that the client asked for, when it did.
    pub host: Option<&'a str>,
}

/// There is no price.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// Who knows it cannot be asked.
    #[error("the price cannot be asked for: {0}")]
    Web(#[from] WebError),
    /// What came back is no price.
    #[error("{0} is no price")]
    NoPrice(&'static str),
    /// It is refused.
    #[error("the pricer refuses: gRPC status {0}")]
    Grpc(String),
    /// There is no rate, or only one that is too old to go by.
    #[error("there is no rate for {0} that is young enough")]
    NoRate(String),
    /// More than all bitcoin.
    #[error("the price is more than all bitcoin")]
    TooMuch,
    /// The tariff says that somebody is to be asked, and not who.
    #[error("nobody is there to ask for a price")]
    Nobody,
}

/// Everybody who knows a price of one service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prices(Vec<Arc<dyn Pricer>>);

impl Prices {
    pub(crate) fn one(pricer: Arc<dyn Pricer>) -> Self {
        Self(vec![pricer])
    }

    /// Opens what the quotes of one service describe, in their order.
    pub(crate) fn open(
        quotes: &[Quote],
        rates: Option<&Arc<Rates>>,
    ) -> Result<Self, CertificatesError> {
        let open = |quote: &Quote| {
            Ok(match quote {
                Quote::Http(source) => {
                    let web = Web::open(source)?;
                    Arc::new(Cached::new(http::HttpPricer::new(web), source.keep))
                        as Arc<dyn Pricer>
                }
                Quote::Aperture(source) => {
                    let web = Web::open(source)?;
                    Arc::new(Cached::new(aperture::AperturePricer::new(web), source.keep))
                }
                Quote::Fiat(amount) => {
                    let rates =
                        rates.expect("the configuration has rates where it has such prices");
                    Arc::new(Fiat::new(amount.clone(), Arc::clone(rates)))
                }
            })
        };
        quotes.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// What something costs.
    pub(crate) async fn find(&self, price: Price, route: &Route<'_>) -> Result<Msat, PriceError> {
        let found = match price {
            Price::Fixed(price) => price,
            Price::Quoted { by, .. } => {
                self.0.get(by).ok_or(PriceError::Nobody)?.price(route).await?
            }
        };
        match found > Msat::SUPPLY {
            true => Err(PriceError::TooMuch),
            false => Ok(found),
        }
    }
}

/// Opens where rates come from.
pub(crate) fn rates(config: &config::Rates) -> Result<Arc<Rates>, CertificatesError> {
    Rates::open(config).map(Arc::new)
}
