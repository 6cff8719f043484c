//! The door for administrators: who is let in, what they see, what they change.

mod books;
mod door;
mod reload;
mod services;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tempfile::TempDir;
use tollway_gateway::admin::{Admin, CAPABILITIES, Capability, bake};
use tollway_gateway::config::AdminAddress;
use tollway_gateway::{Config, ConfigFile, Doors};

use crate::shop::{Answer, Shop};

/// A shop with an office.
pub(crate) struct Office {
    pub(crate) shop: Shop,
    pub(crate) file: PathBuf,
    pub(crate) config: Arc<ConfigFile>,
    address: String,
    /// A credential that may do everything.
    all: String,
    _folder: TempDir,
}

impl Office {
    /// A shop that sells one service, `api`, for 10 sat.
    pub(crate) async fn open() -> Self {
        Self::with("# The whole.\n", "# cheap\nfree = ['/free'] # for all\n").await
    }

    /// The same, with more keys before the service and in it.
    pub(crate) async fn with(before: &str, keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.toml");
        let mut text = String::new();
        let shop = Shop::configured(|origin| {
            let upstream = origin.url("");
            text = format!(
                "{before}\n# What is sold.\n[[service]]\nname = 'api' # its name\n\
                 upstream = '{upstream}'\nprice = '10 sat'\n{keys}"
            );
            text.clone()
        })
        .await;
        std::fs::write(&file, &text).unwrap();
        let read = Config::read(&text).unwrap();
        let doors = Doors::open(&shop.gateway, &read).unwrap();
        let config = ConfigFile::new(file.clone(), text, read, shop.gateway.clone());
        let config = Arc::new(config.with_doors(doors));
        let address = AdminAddress::Tcp("127.0.0.1:0".parse().unwrap());
        let admin = Admin::bind(&address, shop.gateway.clone(), Arc::clone(&config)).await.unwrap();
        let address = admin.address();
        tokio::spawn(admin.serve(std::future::pending()));
        let every: Vec<Capability> =
            CAPABILITIES.iter().map(|(capability, _)| *capability).collect();
        let all = bake(&shop.keyring, &every, None).unwrap().1.expose().clone();
        Self { shop, file, config, address, all, _folder: folder }
    }

    /// What the file says.
    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap()
    }

    /// A credential that may do these things.
    pub(crate) fn may(&self, may: &[Capability]) -> String {
        bake(&self.shop.keyring, may, None).unwrap().1.expose().clone()
    }

    /// A request with whatever headers.
    pub(crate) async fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        self.shop.send(request.body(body).unwrap()).await
    }

    /// A request with this credential.
    pub(crate) async fn with_credential(
        &self,
        credential: &str,
        method: &str,
        path: &str,
    ) -> Answer {
        let bearer = format!("Bearer {credential}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.raw(method, path, &headers, "").await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.with_credential(&self.all, "GET", path).await
    }

    /// What a `GET` that goes well answers.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        answer.json()
    }

    /// A change to what was seen under that tag.
    pub(crate) async fn change(
        &self,
        method: &str,
        path: &str,
        seen: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let bearer = format!("Bearer {}", self.all);
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(seen.map(|seen| ("if-match", seen)));
        headers.extend(body.map(|_| ("content-type", "application/json")));
        let body = body.map(Value::to_string).unwrap_or_default();
        self.raw(method, path, &headers, &body).await
    }

    /// The tag of what is there now.
    pub(crate) async fn tag(&self) -> String {
        self.get("/v1/services").await.lines("etag")[0].to_owned()
    }

    /// What the 402 of the public door asks.
    pub(crate) async fn price(&self, path: &str) -> u64 {
        self.shop.get(path, &[]).await.challenge().invoice.amount().msat()
    }
}

/// A service below `/name`, as it is sent.
fn service(name: &str, price: &str) -> Value {
    json!({ "name": name, "path": format!("/{name}"), "upstream": "http://127.0.0.1:1", "price": price })
}

/// The word for what went wrong.
fn kind(answer: &Answer) -> String {
    answer.json()["error"]["kind"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}
