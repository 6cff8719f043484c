//! Spans, as a collector gets them, and what must never be in them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tollway_gateway::Config;

use crate::shop::{Shop, l402};

/// Of OTLP's messages (opentelemetry/proto/trace/v1/trace.proto) what is looked at here.
#[derive(Clone, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
}

#[derive(Clone, Message)]
struct Resource {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}

#[derive(Clone, Message)]
struct Scope {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
    #[prost(string, tag = "3")]
    state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
}

/// A collector: it keeps what it gets.
struct Collector {
    url: String,
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    task: JoinHandle<()>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let got = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn({
            let got = Arc::clone(&got);
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let got = Arc::clone(&got);
                    let service = service_fn(move |request: http::Request<Incoming>| {
                        let got = Arc::clone(&got);
                        async move {
                            assert_eq!(request.uri().path(), "/v1/traces");
                            let (head, body) = request.into_parts();
                            let body = body.collect().await?.to_bytes();
                            got.lock().unwrap().push((head.headers, body));
                            Ok::<_, hyper::Error>(Response::new(Full::<Bytes>::default()))
                        }
                    });
                    let talk = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    tokio::spawn(talk);
                }
            }
        });
        Self { url, got, task }
    }

    fn spans(&self) -> Vec<Span> {
        let got = self.got.lock().unwrap();
        let requests = got.iter().map(|(_, body)| Request::decode(body.clone()).unwrap());
        let resources = requests.flat_map(|request| request.resources);
        resources.flat_map(|one| one.scopes).flat_map(|scope| scope.spans).collect()
    }

    /// Waits until there are so many spans.
    async fn spans_of(&self, count: usize) -> Vec<Span> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while self.spans().len() < count {
            assert!(tokio::time::Instant::now() < deadline, "{:?}", self.spans());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.spans()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn shop(collector: &Collector, top: &str, keys: &str) -> Shop {
    let traces = format!("[traces]\nendpoint = '{}'\n{keys}\n", collector.url);
    Shop::configured(|origin| {
        let url = origin.url("");
        format!("{top}\n{traces}[[service]]\nname='api'\nprice='10 sat'\nupstream='{url}'\n")
    })
    .await
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_clients_trace_goes_on_through_the_node_and_the_upstream() {
    let collector = Collector::start().await;
    let shop = shop(&collector, "", "headers = { X-Key = 'k' }").await;
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let credential = l402(&shop.buy("/x").await);
    let headers = [
        ("traceparent", parent.as_str()),
        ("tracestate", "them=1"),
        ("authorization", credential.as_str()),
    ];
    assert_eq!(shop.get("/x?secret=hunter2", &headers).await.status, 200);
    // One request was asked to pay, which the node was asked about; one went to the upstream.
    let spans = collector.spans_of(4).await;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["invoice", "GET api", "upstream", "GET api"]);
    let [invoice, asked, upstream, paid] = &spans[..] else { panic!("four") };
    assert_eq!((&invoice.parent, asked.parent.len()), (&asked.id, 0));
    assert_eq!((hex(&paid.trace), hex(&paid.parent)), (TRACE.to_owned(), CALLER.to_owned()));
    assert_eq!((&upstream.parent, &upstream.trace), (&paid.id, &paid.trace));
    assert_eq!(paid.state, "them=1");
    let seen = shop.origin.received().pop().unwrap().headers;
    let expected = format!("00-{TRACE}-{}-01", hex(&upstream.id));
    assert_eq!(seen["traceparent"], expected);
    assert_eq!(seen["tracestate"], "them=1");
    assert_eq!(collector.got.lock().unwrap()[0].0["x-key"], "k");
}

#[tokio::test]
async fn no_span_and_no_number_opens_anything() {
    let collector = Collector::start().await;
    let shop = shop(&collector, "", "").await;
    let credential = shop.buy("/x").await;
    let (token, preimage) = credential.split_once(':').unwrap();
    for value in [l402(&credential), format!("L402 {token}:zz{preimage}")] {
        let headers = [("authorization", value.as_str()), ("cookie", "hunter2")];
        shop.get("/x?secret=hunter2", &headers).await;
    }
    collector.spans_of(6).await;
    let sent: Vec<u8> =
        collector.got.lock().unwrap().iter().flat_map(|(_, body)| body.to_vec()).collect();
    let sent = String::from_utf8_lossy(&sent).into_owned();
    assert!(sent.contains("/x") && sent.contains("paid"), "{sent}");
    let numbers = shop.gateway.metrics_text();
    let invoice = shop.get("/y", &[]).await.json()["invoice"].as_str().unwrap().to_owned();
    for secret in [token, preimage, "hunter2", "lnbcrt", invoice.as_str()] {
        assert!(!sent.contains(secret), "{secret} in {sent}");
        assert!(!numbers.contains(secret), "{secret} in {numbers}");
    }
}

#[tokio::test]
async fn what_is_not_traced_passes_as_it_came() {
    let collector = Collector::start().await;
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let headers = [("traceparent", parent.as_str()), ("tracestate", "them=1")];
    let rare = "sample = '0.0001%'";
    let stranger = shop(&collector, "", rare).await;
    let open = l402(&stranger.mint(&["services=api:0"]));
    let headers = [headers[0], headers[1], ("authorization", open.as_str())];
    // The very first is told of, and then one in a million.
    stranger.get("/x", &headers).await;
    stranger.get("/x", &headers).await;
    let seen = stranger.origin.received().pop().unwrap().headers;
    assert_eq!(seen["traceparent"], parent);
    assert_eq!(seen["tracestate"], "them=1");
    collector.spans_of(2).await;
    // From a proxy that is trusted the wish counts.
    let trusting = shop(&collector, "trusted_proxies = '127.0.0.1'", rare).await;
    for _ in 0..3 {
        trusting.get("/x", &headers).await;
    }
    let spans = collector.spans_of(2 + 6).await;
    assert!(spans.iter().all(|span| hex(&span.trace) == TRACE));
}

#[tokio::test]
async fn a_new_configuration_has_spans_sent_elsewhere_or_nowhere() {
    let (old, new) = (Collector::start().await, Collector::start().await);
    let shop = shop(&old, "", "").await;
    shop.get("/x", &[]).await;
    let url = shop.origin.url("");
    let service = format!("[[service]]\nname='api'\nprice='10 sat'\nupstream='{url}'\n");
    let replace = |traces: &str| {
        shop.gateway.replace(&Config::read(&format!("{traces}\n{service}")).unwrap()).unwrap();
    };
    replace(&format!("[traces]\nendpoint = '{}'", new.url));
    shop.get("/x", &[]).await;
    // Also what was still on its way to the old one arrives there.
    assert_eq!((old.spans_of(2).await.len(), new.spans_of(2).await.len()), (2, 2));
    replace("");
    shop.get("/x", &[]).await;
    replace(&format!("[traces]\nendpoint = '{}'", new.url));
    shop.get("/x", &[]).await;
    assert_eq!(new.spans_of(4).await.len(), 4, "and of the one between nothing is told");
    assert_eq!(old.spans().len(), 2);
}

#[tokio::test]
async fn a_collector_that_is_down_is_nobodys_trouble_and_the_last_spans_are_sent() {
    let mut collector = Collector::start().await;
    let mut traced = shop(&collector, "", "").await;
    traced.get("/x", &[]).await;
    traced.stop();
    let _ = traced.stopped().await;
    assert_eq!(collector.spans().len(), 2, "handed over before it stopped");
    collector.task.abort();
    let _ = (&mut collector.task).await;
    let deaf = shop(&collector, "", "").await;
    for _ in 0..5 {
        assert_eq!(deaf.get("/x", &[]).await.status, 402);
    }
}
