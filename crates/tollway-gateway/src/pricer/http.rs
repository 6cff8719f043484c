//! Asks for a price over HTTP: the route goes out as JSON, and `{"price_msat": 1500}` or
//! `{"price": "10 sat"}` comes back.

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::Full;
use l402::Msat;
use serde_json::{Value, json};

use super::web::Web;
use super::{PriceError, Pricer, Route};

#[derive(Debug)]
pub(super) struct HttpPricer {
    web: Web,
}

impl HttpPricer {
    pub(super) fn new(web: Web) -> Self {
        Self { web }
    }
}

#[async_trait]
impl Pricer for HttpPricer {
    async fn price(&self, route: &Route<'_>) -> Result<Msat, PriceError> {
        let question = json!({
            "service": route.service,
            "rule": route.rule,
            "method": route.method,
            "path": route.path,
            "host": route.host,
        });
        let request = Request::post(self.web.uri.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(question.to_string())))
            .expect("a checked URL makes a request");
        let answer = self.web.ask(request).await?.into_body().to_bytes();
        let answer: Value =
            serde_json::from_slice(&answer).map_err(|_| PriceError::NoPrice("what is not JSON"))?;
        read(&answer)
    }
}

/// One price, in one way of writing it.
fn read(answer: &Value) -> Result<Msat, PriceError> {
    match (answer.get("price_msat"), answer.get("price")) {
        (Some(msat), None) => {
            msat.as_u64().map(Msat::from_msat).ok_or(PriceError::NoPrice("this `price_msat`"))
        }
        (None, Some(price)) => price
            .as_str()
            .and_then(|text| text.parse().ok())
            .ok_or(PriceError::NoPrice("this `price`")),
        (Some(_), Some(_)) => Err(PriceError::NoPrice("what has both `price_msat` and `price`")),
        (None, None) => Err(PriceError::NoPrice("what has neither `price_msat` nor `price`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_exactly_one_price() {
        let price = |text: &str| read(&serde_json::from_str(text).unwrap()).ok().map(Msat::msat);
        assert_eq!(price(r#"{"price_msat": 1500}"#), Some(1500));
        assert_eq!(price(r#"{"price": "10 sat"}"#), Some(10_000));
        assert_eq!(price(r#"{"price_msat": 0}"#), Some(0));
        for bad in [
            "{}",
            "null",
            "[]",
            "0",
            r#"{"price_msat": null}"#,
            r#"{"price_msat": -1}"#,
            r#"{"price_msat": 1.5}"#,
            r#"{"price_msat": "1500"}"#,
            r#"{"price": 10}"#,
            r#"{"price": "10"}"#,
            r#"{"price": ""}"#,
            r#"{"price_msat": 1, "price": "1 msat"}"#,
        ] {
            assert_eq!(price(bad), None, "{bad}");
        }
    }
}
