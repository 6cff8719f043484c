//! gRPC as pages in a browser speak it: made gRPC for a server that knows nothing else, and billed in
//! the form that its clients read.

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use l402::Offers;

use crate::odd::Odd;
use crate::shop::{Answer, Shop, l402};
use crate::upload::Upload;

const MESSAGE: &[u8] = b"\0\0\0\0\x02hi";
/// What the trailers of the server come to.
const LAST: &[u8] = b"\x80\0\0\0\x10grpc-status: 0\r\n";

async fn shop(odd: &Odd, keys: &str) -> Shop {
    let upstream = odd.address;
    let service = "[[service]]\nname = 'api'\nprice = '10 sat'\ncors = 'https://app.example'\n";
    let text = format!("{service}upstream = 'grpc://{upstream}'\n{keys}");
    Shop::configured(|_| text).await
}

fn call(shop: &Shop, kind: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(shop.url("/api.Chat/Say"))
        .header("content-type", kind)
        .header("x-grpc-web", "1")
        .header("origin", "https://app.example")
        .body(Full::new(body.into()))
        .unwrap()
}

fn paid(shop: &Shop, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let credential = l402(&shop.mint(&["services=api:0"]));
    request.headers_mut().insert("authorization", credential.parse().unwrap());
    request
}

#[tokio::test]
async fn a_call_is_made_grpc_and_its_trailers_come_in_the_body() {
    let odd = Odd::grpc_mirror().await;
    let shop = shop(&odd, "grpc_web = true").await;
    let (message, both) = (Bytes::from_static(MESSAGE), [MESSAGE, LAST].concat());
    for (kind, h2) in [("application/grpc-web+proto", false), ("application/grpc-web", true)] {
        let client = Client::builder(TokioExecutor::new()).http2_only(h2).build_http();
        let request = paid(&shop, call(&shop, kind, message.clone()));
        let response = client.request(request).await.unwrap();
        let messages = kind.strip_prefix("application/grpc-web").unwrap();
        assert_eq!(response.headers()["x-asked"], format!("application/grpc{messages} trailers"));
        assert_eq!(response.headers()["content-type"], kind);
        let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap();
        assert!(exposed.contains("Grpc-Status, Grpc-Message"), "{exposed}");
        let body = response.into_body().collect().await.unwrap();
        assert!(body.trailers().is_none(), "no page could read them");
        assert_eq!(body.to_bytes(), both);
    }
    let text = BASE64_STANDARD.encode(MESSAGE);
    let answer = shop.send(paid(&shop, call(&shop, "application/grpc-web-text", text))).await;
    assert_eq!(answer.headers["content-type"], "application/grpc-web-text");
    let read: Vec<u8> = answer
        .body
        .split_inclusive("==")
        .flat_map(|piece| BASE64_STANDARD.decode(piece).unwrap())
        .collect();
    assert_eq!(read, both);
}

#[tokio::test]
async fn a_stream_in_text_is_read_as_it_comes() {
    let odd = Odd::grpc_mirror().await;
    let shop = shop(&odd, "grpc_web = true").await;
    let (sender, body) = Upload::new();
    let credential = l402(&shop.mint(&["services=api:0"]));
    let request = Request::post(shop.url("/api.Chat/Say"))
        .header("content-type", "application/grpc-web-text")
        .header("authorization", credential);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut answer = client.request(request.body(body).unwrap()).await.unwrap().into_body();
    let mut next = async || answer.frame().await.unwrap().unwrap().into_data().unwrap();
    // Padded, and in pieces that are no whole groups.
    sender.send("AAAAAAE=A").await;
    assert_eq!(next().await, "AAAAAAE=");
    sender.send("AAAAAI=").await;
    assert_eq!(next().await, "AAAAAAI=");
    drop(sender);
    assert_eq!(BASE64_STANDARD.decode(next().await).unwrap(), LAST);
}

#[tokio::test]
async fn what_is_no_text_form_is_refused_and_so_is_half_of_it() {
    let shop = Shop::configured(|origin| {
        let url = origin.url("").replace("http:", "grpc:");
        format!("[[service]]\nname='api'\nauth='off'\ngrpc_web=true\nupstream='{url}'\n")
    });
    let shop = shop.await;
    for bad in ["AAAA*AAA", "AAAAAA"] {
        let mut request = call(&shop, "application/grpc-web-text", bad);
        *request.uri_mut() = shop.url("/echo").parse().unwrap();
        let answer = shop.send(request).await;
        assert_eq!(answer.headers["grpc-status"], "3", "{bad}: {answer:?}");
        let message = answer.headers["grpc-message"].to_str().unwrap();
        assert!(message.contains("is not base64"), "{message}");
    }
    // An answer that is not gRPC is passed on as it is.
    let request = call(&shop, "application/grpc-web", "");
    let answer = shop.send(request).await;
    assert_eq!(answer.body, "origin: POST /api.Chat/Say\n");
}

#[tokio::test]
async fn an_upstream_that_speaks_it_itself_gets_it_as_it_is() {
    let odd = Odd::grpc_mirror().await;
    let shop = shop(&odd, "").await;
    let request = paid(&shop, call(&shop, "application/grpc-web-text", "AAAAAAE="));
    let answer = Answer::read(shop.http.request(request).await.unwrap()).await;
    assert_eq!(answer.headers["x-asked"], "application/grpc-web-text -");
    assert_eq!(answer.body, "AAAAAAE=");
}

#[tokio::test]
async fn a_page_is_asked_to_pay_in_headers_that_it_can_read() {
    let odd = Odd::grpc_mirror().await;
    let shop = shop(&odd, "grpc_web = true").await;
    for kind in ["application/grpc-web+proto", "application/grpc-web-text"] {
        let answer = shop.send(call(&shop, kind, "")).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
        assert_eq!(answer.headers["content-type"], kind);
        assert_eq!(answer.headers["grpc-status"], "13");
        assert_eq!(answer.headers["grpc-message"], "payment required");
        assert_eq!(answer.lines("access-control-allow-origin"), ["https://app.example"]);
        let exposed = answer.lines("access-control-expose-headers").join(", ");
        for name in ["WWW-Authenticate", "Grpc-Status", "Grpc-Message"] {
            assert!(exposed.contains(name), "{exposed}");
        }
        assert_eq!(Offers::read(&answer.headers).challenges.len(), 2);
    }
}

#[test]
fn only_an_upstream_that_speaks_grpc_is_translated_for() {
    for upstream in ["http://h", "https://h", "['grpc://a', 'http://b']"] {
        let upstream =
            if upstream.starts_with('[') { upstream.to_owned() } else { format!("'{upstream}'") };
        let text =
            format!("[[service]]\nname='a'\nauth='off'\ngrpc_web=true\nupstream={upstream}\n");
        let mistakes = tollway_gateway::Config::read(&text).unwrap_err().to_string();
        assert!(mistakes.starts_with("line 4: `grpc_web"), "{mistakes}");
        assert!(mistakes.contains("write `grpc://` or `grpcs://`"), "{mistakes}");
    }
}
