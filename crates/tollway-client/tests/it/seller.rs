//! A small server that sells, on a port of its own: honestly, or as badly as a test asks for. The
//! protocol's own crate mints and verifies.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use http::header::{AUTHORIZATION, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use l402::caveat::{Facts, Unknown};
use l402::scheme::Field;
use l402::{
    Challenge, Credential, Invoice, Invoicer, Keyring, MasterKey, Msat, PaymentHash, Secret, Token,
    scheme,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use testkit::FakeNode;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tollway_client::{Purchase, Reserve};

use crate::charging::Charges;
pub(crate) use crate::rules::{Door, Offer, Rules};

/// A payment that no limit is asked about.
pub(crate) const NO_LIMITS: Reserve<'static> = Reserve { asked: Msat::ZERO, limits: &[] };

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Heard {
    pub(crate) fn authorization(&self) -> Vec<&str> {
        let values = self.headers.get_all(AUTHORIZATION).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }
}

/// A server that sells. Dropping it closes all its connections.
pub(crate) struct Seller {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    node: FakeNode,
    keyring: Keyring,
    rules: Mutex<Rules>,
    heard: Mutex<Vec<Heard>>,
    sold: Mutex<Vec<Sold>>,
    charges: Charges,
}

/// One token that was offered.
struct Sold {
    hash: PaymentHash,
    method: Method,
    path: String,
    used: bool,
    offer: Vec<HeaderValue>,
}

impl Seller {
    pub(crate) async fn start(node: &FakeNode, rules: Rules) -> Self {
        Self::listen(node, rules, None).await
    }

    /// As [`Seller::start`], behind TLS: with the certificate, in DER, that names `localhost`.
    pub(crate) async fn start_tls(node: &FakeNode, rules: Rules) -> (Self, Vec<u8>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tls = TlsAcceptor::from(Arc::new(config));
        (Self::listen(node, rules, Some(tls)).await, certificate.to_vec())
    }

    async fn listen(node: &FakeNode, rules: Rules, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            node: node.clone(),
            keyring: Keyring::new(MasterKey::new([7; 32]), vec![]),
            rules: Mutex::new(rules),
            heard: Mutex::default(),
            sold: Mutex::default(),
            charges: Charges::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared), tls));
        Self { address, shared, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Rules> {
        self.shared.rules.lock().unwrap()
    }

    /// It has sold that token, earlier.
    pub(crate) fn knows(&self, hash: PaymentHash) {
        let (method, path, offer) = (Method::GET, "/".to_owned(), Vec::new());
        let sold = Sold { hash, method, path, used: false, offer };
        self.shared.sold.lock().unwrap().push(sold);
    }

    /// A bill for one request of that method and path, made earlier.
    pub(crate) fn charge(&self, route: &str, invoice: &Invoice, until: SystemTime) -> HeaderValue {
        self.shared.charges.charge(route, Field::Authorization, invoice, until).challenge()
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.shared.heard.lock().unwrap().clone()
    }
}

impl Drop for Seller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (shared, tls) = (Arc::clone(&shared), tls.clone());
        connections.spawn(async move {
            let service = service_fn(|request| {
                let shared = Arc::clone(&shared);
                async move { shared.answer(request).await }
            });
            let builder = auto::Builder::new(TokioExecutor::new());
            let _ = match tls {
                None => builder.serve_connection(TokioIo::new(stream), service).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => builder.serve_connection(TokioIo::new(stream), service).await,
                    Err(_) => return,
                },
            };
        });
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let heard = Heard {
            method: head.method,
            path: head.uri.path().to_owned(),
            target: head.uri.path_and_query().unwrap().to_string(),
            headers: head.headers,
            body: body.collect().await.map(|body| body.to_bytes()).unwrap_or_default(),
        };
        self.heard.lock().unwrap().push(heard.clone());
        let rules = self.rules.lock().unwrap().clone();
        if let Some(field) = rules.offer.field() {
            if rules.breaks && !rules.takes_before_it_breaks {
                let paid = heard.headers.contains_key(field.name());
                return if paid {
                    self.behind(&heard, &rules)
                } else {
                    Ok(self.ask(&heard, &rules).await)
                };
            }
            if let Some(charged) = self.charges.take(&heard, field) {
                let mut answer = self.behind(&heard, &rules)?;
                let receipt = charged.receipt(SystemTime::now());
                answer.headers_mut().insert("payment-receipt", receipt);
                return Ok(answer);
            }
        }
        let opened = match Credential::read(&heard.headers) {
            Ok(Some(credential)) => self.opens(&credential, &heard, &rules),
            _ => rules.free.contains(&heard.path),
        };
        if opened {
            return self.behind(&heard, &rules);
        }
        match rules.door {
            Door::Never(StatusCode::UNAUTHORIZED) if !heard.authorization().is_empty() => {
                let mut answer = text(StatusCode::UNAUTHORIZED, "no");
                let bare = HeaderValue::from_static("L402");
                answer.headers_mut().insert(WWW_AUTHENTICATE, bare);
                Ok(answer)
            }
            _ => Ok(self.ask(&heard, &rules).await),
        }
    }

    fn behind(&self, heard: &Heard, rules: &Rules) -> io::Result<Response<Full<Bytes>>> {
        if rules.breaks {
            return Err(io::Error::other("told to break"));
        }
        let Some((status, location)) = rules.redirects.get(&heard.path) else {
            let body = String::from_utf8_lossy(&heard.body);
            let body = format!("{} {} {body}", heard.method, heard.path);
            let mut answer = text(rules.behind, &body);
            for (name, value) in &rules.behind_headers {
                answer.headers_mut().append(name, value.parse().unwrap());
            }
            return Ok(answer);
        };
        let mut answer = text(StatusCode::from_u16(*status).unwrap(), "elsewhere");
        answer.headers_mut().insert(LOCATION, location.parse().unwrap());
        Ok(answer)
    }

    fn opens(&self, credential: &Credential, heard: &Heard, rules: &Rules) -> bool {
        let facts = Facts {
            service: "weather",
            capability: None,
            method: heard.method.as_str(),
            path: &heard.path,
            client_ip: None,
            now: SystemTime::now(),
        };
        let Ok(verified) = credential.verify(&self.keyring, &facts, Unknown::Skip) else {
            return false;
        };
        let mut sold = self.sold.lock().unwrap();
        let sold = sold.iter_mut().find(|sold| sold.hash == verified.payment_hash()).unwrap();
        match rules.door {
            Door::ByCaveats => true,
            Door::PerRoute => sold.method == heard.method && sold.path == heard.path,
            Door::Once => !std::mem::replace(&mut sold.used, true),
            Door::Never(_) => false,
        }
    }

    async fn ask(&self, heard: &Heard, rules: &Rules) -> Response<Full<Bytes>> {
        let lines = match &rules.offer {
            Offer::Lines(lines) => lines.iter().map(|line| line.parse().unwrap()).collect(),
            _ => self.offer(heard, rules).await,
        };
        let mut answer = text(StatusCode::PAYMENT_REQUIRED, "pay first");
        for line in lines {
            answer.headers_mut().append(WWW_AUTHENTICATE, line);
        }
        answer
    }

    async fn offer(&self, heard: &Heard, rules: &Rules) -> Vec<HeaderValue> {
        if let Offer::Repeated = rules.offer
            && let Some(sold) = self.sold.lock().unwrap().last()
        {
            return sold.offer.clone();
        }
        let invoice = self.node.invoice(rules.price, "weather", rules.expiry).await.unwrap();
        if let Offer::Charge(field) = rules.offer {
            let lines = self.charges.ask(heard, field, &invoice).into_iter();
            // It is not under the seller's MAC, as these tests have no use for that.
            let said = |line: HeaderValue| match &rules.digest {
                None => line,
                Some(digest) => {
                    format!(r#"{}, digest="{digest}""#, line.to_str().unwrap()).parse().unwrap()
                }
            };
            return lines.map(said).collect();
        }
        let hash = invoice.payment_hash();
        let mut nonce = [0; 28];
        nonce.copy_from_slice(&hash.0[..28]);
        let token = self.keyring.mint(hash, nonce, &rules.caveats);
        let mut single = Vec::new();
        if let Offer::Both(price) = rules.offer {
            let invoice = self.node.invoice(price, "weather", rules.expiry).await.unwrap();
            single = self.charges.ask(heard, Field::Authorization, &invoice);
        }
        let offer = match &rules.offer {
            Offer::Invoice(other) => scheme::ask(&token, other).collect(),
            Offer::Honest(Some(name)) => {
                let asked = scheme::Asked { token: Some((&token, &invoice)), charge: None };
                scheme::find(name).unwrap().ask(&asked).into_iter().collect()
            }
            _ => scheme::ask(&token, &invoice).chain(single).collect::<Vec<_>>(),
        };
        self.sold.lock().unwrap().push(Sold {
            hash,
            method: heard.method.clone(),
            path: heard.path.clone(),
            used: false,
            offer: offer.clone(),
        });
        offer
    }
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *answer.status_mut() = status;
    answer
}

/// An offer of that invoice, with a token of nobody's for it.
pub(crate) fn offer(invoice: &Invoice, caveats: &[&str]) -> Challenge {
    let keyring = Keyring::new(MasterKey::new([7; 32]), vec![]);
    let token = keyring.mint(invoice.payment_hash(), [1; 28], caveats);
    let scheme = scheme::find("L402").unwrap();
    Challenge::new(scheme, Token::from_macaroon(&token), invoice.clone()).unwrap()
}

/// The record of a purchase that this request led to.
pub(crate) fn begun(request: &tollway_client::Request, challenge: Challenge) -> Purchase {
    Purchase {
        origin: request.origin().clone(),
        method: Method::GET,
        path: request.path().to_owned(),
        target: challenge.manner().single_use.then(|| request.target()),
        query: Some(Secret::new(request.url().query().unwrap_or_default().to_owned())),
        challenge,
        node: None,
        begun_at: SystemTime::now(),
    }
}
