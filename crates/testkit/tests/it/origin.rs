//! The origin does what its table says, and counts.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use testkit::Origin;

fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn post(origin: &Origin, path: &str, body: &'static str) -> Response<Incoming> {
    let request = Request::post(origin.url(path)).header("x-twice", "1").header("x-twice", "2");
    let request = request.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap();
    client().request(request).await.unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.into()).unwrap()
}

#[tokio::test]
async fn what_arrived_is_echoed_and_recorded() {
    let origin = Origin::start().await;
    let echo: serde_json::Value =
        serde_json::from_str(&text(post(&origin, "/echo?a=b", "hello").await).await).unwrap();
    assert_eq!(echo["method"], "POST");
    assert_eq!(echo["path"], "/echo?a=b");
    assert_eq!(echo["body"], "hello");
    let twice = |pair: &&serde_json::Value| pair[0] == "x-twice";
    assert_eq!(echo["headers"].as_array().unwrap().iter().filter(twice).count(), 2);
    let [received] = &origin.received()[..] else { panic!("one request was sent") };
    assert_eq!((received.uri.path(), &received.body[..]), ("/echo", &b"hello"[..]));
    assert_eq!((origin.count("/echo"), origin.count("/other")), (1, 0));
}

#[tokio::test]
async fn statuses_and_unknown_paths_are_answered() {
    let origin = Origin::start().await;
    assert_eq!(post(&origin, "/status/500", "").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        text(post(&origin, "/weather/oslo", "").await).await,
        "origin: POST /weather/oslo\n"
    );
    assert_eq!(text(post(&origin, "/mirror", "back").await).await, "back");
}

#[tokio::test]
async fn a_failing_path_gives_no_answer_and_a_broken_one_half() {
    let origin = Origin::start().await;
    let request = Request::get(origin.url("/fail")).body(Full::default()).unwrap();
    assert!(client().request(request).await.is_err());
    let broken = post(&origin, "/broken", "").await;
    assert_eq!(broken.status(), StatusCode::OK);
    assert!(broken.into_body().collect().await.is_err());
}

#[tokio::test]
async fn slow_waits_for_its_release() {
    let origin = Origin::start().await;
    let release = async {
        origin.arrived(1).await;
        origin.release();
    };
    let (response, ()) = tokio::join!(post(&origin, "/slow", ""), release);
    assert_eq!(text(response).await, "slow but sure\n");
}

#[tokio::test]
async fn drips_come_one_by_one_and_end() {
    let origin = Origin::start().await;
    let mut body = post(&origin, "/drip", "").await.into_body();
    for drip in ["drip 0\n", "drip 1\n"] {
        origin.drip();
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), drip);
    }
    origin.end_drips();
    assert!(body.frame().await.is_none());
    origin.quiet().await;
}

#[tokio::test]
async fn an_endless_stream_stops_when_its_reader_goes() {
    let origin = Origin::start().await;
    let mut body = post(&origin, "/stream", "").await.into_body();
    for _ in 0..10 {
        assert!(body.frame().await.unwrap().is_ok());
    }
    drop(body);
    origin.quiet().await;
}

#[tokio::test]
async fn trailers_arrive() {
    let origin = Origin::start().await;
    let request = Request::get(origin.url("/trailers")).header("te", "trailers");
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let h2 = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let body = h2.request(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-checksum"], "42");
}
