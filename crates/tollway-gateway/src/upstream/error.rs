//! What can go wrong with an upstream: before it is used, and while.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use hyper_util::client::legacy::Error as ClientError;

use crate::grpc_web::NotBase64;
use crate::passage::HeaderError;
use crate::store::StoreError;
use crate::tls::TlsError;
use crate::traces::TracesError;

/// The upstream did not answer.
///
/// Exhaustive on purpose: each has its own answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// No connection, or none that can be trusted.
    #[error("the upstream cannot be reached")]
    Unreachable(#[source] ClientError),
    /// It took the request and said nothing in time.
    #[error("the upstream did not answer in time")]
    Silent,
    /// The connection broke, or what came back is not HTTP.
    #[error("the upstream broke off")]
    Broken(#[source] ClientError),
    /// The client's own body broke off or stood still on its way.
    #[error("the request's body did not come to its end")]
    Body(#[source] ClientError),
    /// The client's own body is longer than the service takes.
    #[error("the request's body is longer than {0} bytes, which is all this service takes")]
    TooLong(u64),
    /// The client's own body is not what it says it is.
    #[error(transparent)]
    NotBase64(NotBase64),
    /// It wants to speak another protocol, and nobody asked for that.
    #[error("the upstream switched protocols without being asked")]
    Switched,
}

/// A gateway, or its new configuration, cannot be put in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file with the certificates to trust.
    #[error("service `{service}`: the certificates in {path}: {problem}")]
    Certificates {
        /// Whose.
        service: String,
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: CertificatesError,
    },
    /// The file with the certificates that a pricer is to be known by.
    #[error("service `{service}`: the certificates in `pricer_ca`: {problem}")]
    PricerCertificates {
        /// Whose.
        service: String,
        /// What is wrong with it.
        problem: CertificatesError,
    },
    /// The file with the certificates that the source of rates is to be known by.
    #[error("the certificates in `rates_ca`: {0}")]
    RatesCertificates(#[source] CertificatesError),
    /// The value of a header to be set.
    #[error("service `{service}`: {problem}")]
    Header {
        /// Whose.
        service: String,
        /// What is wrong.
        problem: HeaderError,
    },
    /// The certificates and keys that the gateway itself shows.
    #[error("[tls]: {0}")]
    Tls(#[from] TlsError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address at which something is to be served beside the services.
    #[error("`{key}`: nobody can listen on {address}: {source}")]
    Listen {
        /// The key that names it.
        key: &'static str,
        /// Which one.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Where spans are to go.
    #[error("[traces]: {0}")]
    Traces(#[from] TracesError),
}

/// What is wrong with a file of certificates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificatesError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] rustls::pki_types::pem::Error),
    /// It is there, and there is nothing in it to trust.
    #[error("there is no certificate in it")]
    Empty,
    /// One of them cannot be used.
    #[error(transparent)]
    Unusable(#[from] rustls::Error),
}

impl UpstreamError {
    /// Whether it ran out of time, rather than failing.
    pub(crate) fn is_timeout(&self) -> bool {
        match self {
            Self::Silent => true,
            Self::Unreachable(error) => timed_out(error),
            Self::Broken(_)
            | Self::Body(_)
            | Self::TooLong(_)
            | Self::NotBase64(_)
            | Self::Switched => false,
        }
    }

    /// Whether the upstream is to blame for it.
    pub(super) fn is_theirs(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Silent | Self::Broken(_) | Self::Switched => true,
            Self::Body(_) | Self::TooLong(_) | Self::NotBase64(_) => false,
        }
    }
}

fn timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    let is_timeout = |error: &(dyn std::error::Error + 'static)| {
        let io = error.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut)
    };
    std::iter::successors(Some(error), |error| error.source()).any(is_timeout)
}
