//! What a gateway says about itself: to programs, to tools, to language models.

use l402::Msat;
use serde_json::{Value, json};

use crate::shop::Shop;

async fn shop(keys: &str) -> Shop {
    Shop::configured(|origin| {
        let url = origin.url("");
        format!(
            "{keys}\n[[service]]\nname='weather'\npath='/v1'\nprice='1500 msat'\nupstream='{url}'\n\
             schemes = ['l402', 'mpp']\nfree = ['/v1/health', '/v1/docs/*']\n\
             [[service.rule]]\nname='history'\npath='exact:/v1/history'\nmethod='GET'\nprice='20 sat'\n\
             [[service]]\nname='open'\npath='/open'\nauth='off'\nupstream='{url}'\n\
             [[service]]\nname='other'\nhost='other.example'\nprice='1 sat'\nupstream='{url}'"
        )
    })
    .await
}

async fn openapi(shop: &Shop) -> Value {
    let answer = shop.get("/openapi.json", &[("host", "api.example:8402")]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.lines("content-type")),
        (200, vec!["application/json"])
    );
    assert_eq!(answer.lines("access-control-allow-origin"), ["*"]);
    answer.json()
}

#[tokio::test]
async fn openapi_says_what_each_call_costs_and_how_to_pay() {
    let shop = shop("").await;
    let document = openapi(&shop).await;
    assert_eq!(
        (&document["openapi"], &document["info"]["title"]),
        (&json!("3.1.0"), &json!("api.example:8402"))
    );
    let paths = &document["paths"];
    let offer = |path: &str, method: &str| &paths[path][method]["x-payment-info"]["offers"][0];
    assert_eq!(offer("/v1/history", "get")["amount"], "20");
    assert_eq!(offer("/v1/{path}", "post")["amount"], "2", "in whole satoshis, rounded up");
    assert_eq!(paths["/v1"]["post"]["x-l402-pricing"]["price_msat"], 1500);
    assert_eq!(paths["/v1/{path}"]["parameters"][0]["name"], "path");
    assert!(paths["/v1"]["get"]["responses"]["402"].is_object());
    let ways = json!([{ "l402": [] }, { "payment": [] }]);
    assert_eq!(paths["/v1"]["get"]["security"], ways);
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes["l402"]["x-l402-scheme"], "L402");
    assert_eq!(schemes["payment"]["name"], "Authorization");
    for (path, method) in [("/v1/health", "get"), ("/v1/docs/{path}", "put"), ("/open", "get")] {
        let free = &paths[path][method];
        assert!(free.is_object() && free["responses"]["402"].is_null(), "{path}: {free}");
        assert!(free["security"].is_null() && free["x-payment-info"].is_null());
    }
    // Nothing of another host, and nothing of what is behind it.
    let text = document.to_string();
    assert!(!text.contains("other") && !text.contains("127.0.0.1"), "{text}");
    assert_eq!((shop.hits(), shop.seller.invoices()), (0, 0));
}

#[tokio::test]
async fn what_is_told_is_what_is_asked() {
    let shop = shop("").await;
    for (path, msat) in [("/v1/history", 20_000), ("/v1/x", 1500)] {
        let asked = shop.get(path, &[]).await.challenge().invoice.amount().msat();
        assert_eq!(asked, msat, "{path}");
    }
    let list = shop.get("/.well-known/l402.json", &[]).await.json();
    let services = list["services"].as_array().unwrap();
    let weather = services.iter().find(|service| service["name"] == "weather").unwrap();
    let resources = weather["resources"].as_array().unwrap();
    let price = |path: &str| {
        let found = resources.iter().find(|resource| resource["path"] == path);
        found.unwrap_or_else(|| panic!("{resources:?}"))["pricing"]["price_msat"].clone()
    };
    assert_eq!((price("/v1/history"), price("/v1/*")), (json!(20_000), json!(1500)));
}

#[tokio::test]
async fn a_language_model_reads_how_to_pay_and_what() {
    let answer = shop("").await.get("/llms.txt", &[]).await;
    assert_eq!(answer.lines("content-type"), ["text/plain; charset=utf-8"]);
    for part in [
        "Authorization: L402 <token>:<preimage>",
        "`Payment` credential",
        "- `/v1/history` (GET): 20 sat; service `weather`",
        &format!("- `/v1/*` (any): {}; service `weather`", Msat::from_msat(1500)),
        "- `/v1/health` (any): free; service `weather`",
        "- `/open/*` (any): free; service `open`",
    ] {
        assert!(answer.body.contains(part), "{part}: {}", answer.body);
    }
}

#[tokio::test]
async fn what_is_left_out_is_the_upstreams() {
    let text = "discovery = ['/llms.txt']";
    let shop = Shop::configured(|origin| {
        format!("{text}\n[[service]]\nname='a'\nauth='off'\nupstream='{}'", origin.url(""))
    });
    let shop = shop.await;
    assert_eq!(shop.get("/openapi.json", &[]).await.body, "origin: GET /openapi.json\n");
    assert!(shop.get("/llms.txt", &[]).await.body.starts_with("# "));
    assert!(shop.get("/.well-known/l402.json", &[]).await.json()["services"].is_array());
    let head = shop.send(shop.request("HEAD", "/llms.txt", &[])).await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
    let post = shop.send(shop.request("POST", "/llms.txt", &[])).await;
    assert_eq!(post.body, "origin: POST /llms.txt\n");
}
