//! The API that the demo sells: an ordinary web service that knows nothing of money. The gateway in
//! front of it decides what is free.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use axum::extract::Path;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const SKIES: [&str; 6] = ["clear", "hazy", "cloudy", "drizzle", "rain", "thunder"];
/// The longest forecast, in days.
const MOST_DAYS: u8 = 14;

/// A running weather service. It stops when this is dropped.
#[derive(Debug)]
pub(crate) struct Weather {
    address: SocketAddr,
    task: JoinHandle<io::Result<()>>,
}

impl Weather {
    /// Starts it on a free port of this machine.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move { axum::serve(listener, routes()).await });
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Weather {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn routes() -> Router {
    Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/weather/{city}", get(weather))
        .route("/forecast", post(forecast))
        .route("/echo", any(echo))
}

/// What the weather is like somewhere. There are no instruments: it follows from the name.
#[derive(Serialize)]
struct Report {
    city: String,
    sky: &'static str,
    celsius: i32,
}

impl Report {
    fn new(city: &str, day: u8) -> Self {
        // FNV-1a: the same city has the same weather in every run.
        let bytes = city.to_lowercase().into_bytes();
        let seed = bytes.iter().chain([&day]).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let pick = |shift: u32, below: u64| (seed >> shift) % below;
        let sky = SKIES[usize::try_from(pick(20, 6)).expect("below six")];
        let celsius = i32::try_from(pick(40, 35)).expect("below 35") - 5;
        Self { city: city.to_owned(), sky, celsius }
    }
}

async fn weather(Path(city): Path<String>) -> Json<Report> {
    Json(Report::new(&city, 0))
}

#[derive(Deserialize)]
struct ForecastRequest {
    city: String,
    days: u8,
}

async fn forecast(
    Json(wanted): Json<ForecastRequest>,
) -> Result<Json<Value>, (StatusCode, String)> {
    if !(1..=MOST_DAYS).contains(&wanted.days) {
        let problem = format!("`days` must be 1 to {MOST_DAYS}, not {}\n", wanted.days);
        return Err((StatusCode::UNPROCESSABLE_ENTITY, problem));
    }
    let days: Vec<_> = (0..wanted.days).map(|day| Report::new(&wanted.city, day)).collect();
    Ok(Json(json!({ "city": wanted.city, "days": days })))
}

/// The request as it arrived here, so that one can see what the gateway passes on.
async fn echo(method: Method, uri: Uri, headers: HeaderMap) -> Json<Value> {
    let mut seen: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in &headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        seen.entry(name.as_str()).or_default().push(text);
    }
    let path = uri.path_and_query().map(ToString::to_string);
    Json(json!({ "method": method.as_str(), "path": path, "headers": seen }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_city_has_weather_and_the_same_each_time() {
        let (one, two) = (Report::new("Berlin", 0), Report::new("berlin", 0));
        assert_eq!((one.sky, one.celsius), (two.sky, two.celsius));
        assert!((0..100u8).map(|day| Report::new("x", day)).any(|report| report.sky != one.sky));
        assert!((0..100u8).all(|day| (-5..30).contains(&Report::new("x", day).celsius)));
    }
}
