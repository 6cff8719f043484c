//! What a server sells, and for how much, from what it publishes about itself: its price list, its
//! OpenAPI description, what it tells language models, or a registry. Prices found that way are
//! hints: what is paid is what the invoice says, within the limits.

use serde::Serialize;
use serde_json::Value;
use tollway_client::{Client, Request};
use url::Url;

/// The longest description that is read, in bytes.
const LONGEST: usize = 8 << 20;

/// One thing that is sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Offer {
    pub(crate) service: Option<String>,
    /// `any` where none is named.
    pub(crate) method: String,
    /// A URL, or a path of the server that was asked.
    pub(crate) path: String,
    /// None where it depends on the request.
    pub(crate) price_msat: Option<u64>,
    pub(crate) description: Option<String>,
    /// In which document it stands.
    pub(crate) source: &'static str,
}

/// A document that may say it.
struct Document {
    path: &'static str,
    read: fn(&[u8]) -> Vec<Offer>,
}

/// The first of them that offers anything is believed.
static DOCUMENTS: &[Document] = &[
    Document { path: "/.well-known/l402.json", read: |text| json(text, manifest) },
    Document { path: "/openapi.json", read: |text| json(text, openapi) },
    Document { path: "/llms.txt", read: |text| llms(&String::from_utf8_lossy(text)) },
];

/// What the server of that URL publishes. Nothing is paid; what is not there is not an error.
pub(crate) async fn server(
    client: &Client,
    url: &Url,
) -> Result<Vec<Offer>, tollway_client::Error> {
    let mut reached = None;
    for document in DOCUMENTS {
        let at = url.join(document.path).expect("an absolute path joins to any http URL");
        match fetch(client, at).await {
            Ok(Some(text)) => {
                let offers = (document.read)(&text);
                if !offers.is_empty() {
                    return Ok(offers);
                }
                reached = Some(Ok(()));
            }
            Ok(None) => reached = Some(Ok(())),
            Err(error) => reached = reached.or(Some(Err(error))),
        }
    }
    reached.unwrap_or(Ok(())).map(|()| Vec::new())
}

/// What a registry lists: an array of objects, or an object that holds one.
pub(crate) async fn registry(
    client: &Client,
    url: Url,
) -> Result<Vec<Offer>, tollway_client::Error> {
    let text = fetch(client, url).await?.unwrap_or_default();
    Ok(json(&text, listed))
}

/// The body of a 200; `None` for any other answer, and for one that is too long.
async fn fetch(client: &Client, url: Url) -> Result<Option<Vec<u8>>, tollway_client::Error> {
    let request = Request::new(http::Method::GET, url)?.follow(5);
    let mut response = match client.fetch(&request).await {
        Ok(response) if response.status() == http::StatusCode::OK => response,
        Ok(_) => return Ok(None),
        // A description that costs something is none.
        Err(error @ (tollway_client::Error::Http(_) | tollway_client::Error::BadRequest(_))) => {
            return Err(error);
        }
        Err(_) => return Ok(None),
    };
    let mut text = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(tollway_client::Error::Http)? {
        text.extend_from_slice(&piece);
        if text.len() > LONGEST {
            return Ok(None);
        }
    }
    Ok(Some(text))
}

fn json(text: &[u8], read: fn(&Value) -> Vec<Offer>) -> Vec<Offer> {
    serde_json::from_slice(text).map(|value| read(&value)).unwrap_or_default()
}

fn text(value: &Value, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| value.get(key)?.as_str().map(str::to_owned))
}

/// A price list (the L402 repository's discovery-spec.md, section 5).
fn manifest(list: &Value) -> Vec<Offer> {
    let mut offers = Vec::new();
    for service in list["services"].as_array().into_iter().flatten() {
        let name = text(service, &["name"]);
        for resource in service["resources"].as_array().into_iter().flatten() {
            let Some(path) = text(resource, &["path"]) else { continue };
            let listed = resource["methods"].as_array().into_iter().flatten();
            let mut methods: Vec<&str> = listed.filter_map(Value::as_str).collect();
            methods.extend(resource["method"].as_str());
            let method = if methods.is_empty() { "any".to_owned() } else { methods.join(",") };
            offers.push(Offer {
                service: name.clone(),
                method,
                path,
                price_msat: resource["pricing"]["price_msat"].as_u64(),
                description: text(resource, &["description"])
                    .or_else(|| text(service, &["description"])),
                source: "l402.json",
            });
        }
    }
    offers
}

/// An OpenAPI description whose operations say what they cost: by `x-payment-info`, in satoshi, or
/// by `x-l402-pricing`.
fn openapi(document: &Value) -> Vec<Offer> {
    const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
    let mut offers = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let operations = item.as_object().into_iter().flatten();
        for (method, operation) in operations.filter(|(name, _)| METHODS.contains(&name.as_str())) {
            let (info, pricing) = (&operation["x-payment-info"], &operation["x-l402-pricing"]);
            let is_paid = !info.is_null() || !pricing.is_null();
            if !is_paid {
                continue;
            }
            let charged = info["offers"].as_array().into_iter().flatten();
            let in_sat = charged.filter(|offer| offer["currency"] == "sat").find_map(|offer| {
                let amount = &offer["amount"];
                amount.as_u64().or_else(|| amount.as_str()?.parse().ok())?.checked_mul(1_000)
            });
            offers.push(Offer {
                service: None,
                method: method.to_ascii_uppercase(),
                path: path.clone(),
                price_msat: pricing["price_msat"].as_u64().or(in_sat),
                description: text(operation, &["summary", "description"]),
                source: "openapi.json",
            });
        }
    }
    offers
}

/// The lines of `llms.txt` that name a path and a price.
fn llms(text: &str) -> Vec<Offer> {
    let lines = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("- `")?;
        let (path, rest) = rest.split_once('`')?;
        let (method, rest) = rest.trim_start().strip_prefix('(')?.split_once("):")?;
        let price = rest.split(';').next()?.trim();
        let price: Option<l402::Msat> = price.parse().ok();
        Some(Offer {
            service: None,
            method: method.to_owned(),
            path: path.to_owned(),
            price_msat: price.map(l402::Msat::msat),
            description: Some(rest.trim().to_owned()),
            source: "llms.txt",
        })
    });
    lines.filter(|offer| offer.path.starts_with('/')).collect()
}

/// The entries of a registry. Each has its own names for the same few things.
fn listed(answer: &Value) -> Vec<Offer> {
    const LISTS: [&str; 5] = ["services", "data", "results", "items", "endpoints"];
    let list = answer.as_array().or_else(|| LISTS.iter().find_map(|key| answer[key].as_array()));
    let offers = list.into_iter().flatten().filter_map(|entry| {
        let msat = ["price_msat", "price_msats"].iter().find_map(|key| entry[key].as_u64());
        let sat =
            ["price_sats", "price_sat", "amount_sats"].iter().find_map(|key| entry[key].as_u64());
        Some(Offer {
            service: text(entry, &["name", "title"]),
            method: text(entry, &["method", "http_method"]).unwrap_or_else(|| "any".to_owned()),
            path: text(entry, &["url", "endpoint", "resource"])?,
            price_msat: msat.or_else(|| sat?.checked_mul(1_000)),
            description: text(entry, &["description"]),
            source: "registry",
        })
    });
    offers.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_document_says_what_is_sold() {
        let list = json!({ "services": [{ "name": "w", "resources": [
            { "path": "/a", "pricing": { "model": "fixed", "price_msat": 5 }, "methods": ["GET", "POST"] },
            { "path": "/b", "pricing": { "model": "dynamic" } },
        ]}]});
        let offers = manifest(&list);
        let said: Vec<_> =
            offers.iter().map(|o| (o.method.as_str(), o.path.as_str(), o.price_msat)).collect();
        assert_eq!(said, [("GET,POST", "/a", Some(5)), ("any", "/b", None)]);

        let document = json!({ "paths": { "/x": {
            "get": { "x-payment-info": { "offers": [{ "amount": "7", "currency": "sat" }] } },
            "post": {},
        }}});
        let offers = openapi(&document);
        assert_eq!((offers.len(), offers[0].price_msat), (1, Some(7_000)));

        let offers = llms(
            "# a\n- `/x` (GET): 3 sat; service `w`\n- [OpenAPI](/openapi.json)\n- `y` (z): no\n",
        );
        assert_eq!((offers.len(), offers[0].price_msat), (1, Some(3_000)));

        let offers = listed(
            &json!({ "services": [{ "name": "n", "url": "https://a/", "price_sats": 2 }, {}] }),
        );
        assert_eq!((offers.len(), offers[0].price_msat), (1, Some(2_000)));
        assert!(listed(&json!("x")).is_empty() && manifest(&json!([1])).is_empty());
    }
}
