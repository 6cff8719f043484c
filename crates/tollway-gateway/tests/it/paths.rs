//! Free rides: a path that the gateway reads as free, or as a cheap service's, and the upstream as
//! another.

use crate::raw::Raw;
use crate::shop::{Shop, l402};

async fn status(shop: &Shop, target: &str, authorization: &str) -> String {
    let mut raw = Raw::connect(shop.address).await;
    raw.write(format!(
        "GET {target} HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\n\r\n"
    ))
    .await;
    let head = raw.head().await;
    head.split(' ').nth(1).unwrap().to_owned()
}

const TRICKS: [&str; 20] = [
    "/free/../paid",
    "/free/..",
    "/open/../paid",
    "/open/%2e%2e/paid",
    "/open/%2E%2E/paid",
    "/open/.%2e/paid",
    "/open/..%2fpaid",
    "/open%2f..%2fpaid",
    "/open/..%5cpaid",
    "/open/..\\paid",
    "/open/./paid",
    "/open//paid",
    "//open/paid",
    "//free",
    "/open/..;/paid",
    "/open/..;x=y/paid",
    "/open/%00/paid",
    "/./free",
    "/open/x/../../paid",
    "open/paid",
];

#[tokio::test]
async fn no_path_is_free_for_us_and_another_for_the_upstream() {
    let shop = Shop::open().await;
    let paid = l402(&shop.mint(&["services=api:0"]));
    for trick in TRICKS {
        assert_eq!(status(&shop, trick, "none").await, "400", "{trick}");
        // Who has paid is not believed either: the upstream would be asked for something else.
        assert_eq!(status(&shop, trick, &paid).await, "400", "{trick}");
    }
    assert_eq!(shop.hits(), 0);
    for (path, expected) in [
        ("/free", "200"),
        ("/open/a.b/c;d=e", "200"),
        ("/open/...", "200"),
        ("/open/a%20b", "200"),
        ("/free?../paid", "200"),
        ("/free;x", "402"),
        ("/FREE", "402"),
        ("/%66ree", "400"),
        ("/open/%61", "200"),
        ("/open%3fpaid", "402"),
    ] {
        assert_eq!(status(&shop, path, "none").await, expected, "{path}");
    }
}

#[tokio::test]
async fn no_path_leads_from_a_cheap_service_into_a_dear_one() {
    let shop = Shop::configured(|origin| {
        let url = origin.url("");
        format!(
            "[[service]]\nname='cheap'\npath='/cheap'\nprice='1 sat'\nupstream='{url}'\n\
             [[service]]\nname='dear'\nprice='1000 sat'\nupstream='{url}'"
        )
    });
    let shop = shop.await;
    let cheap = l402(&shop.buy("/cheap").await);
    for trick in ["/cheap/../dear", "/cheap/%2e%2e/dear", "/cheap/..;/dear", "//cheap/dear"] {
        assert_eq!(status(&shop, trick, &cheap).await, "400", "{trick}");
    }
    // An upstream may read the encoded letter, or leave it alone.
    for trick in ["/%63heap/x", "/chea%70", "/cheap%3bx/../dear"] {
        assert_eq!(status(&shop, trick, &cheap).await, "400", "{trick}");
    }
    for dear in ["/cheaper", "/cheap%20/x", "/Cheap", "/dear/cheap", "/de%61r"] {
        assert_eq!(status(&shop, dear, &cheap).await, "402", "{dear}");
    }
    assert_eq!(shop.hits(), 0);
    assert_eq!(status(&shop, "/cheap/x", &cheap).await, "200");
}

#[tokio::test]
async fn no_encoding_makes_a_dear_path_cheap() {
    let shop = Shop::configured(|origin| {
        let url = origin.url("");
        format!(
            "[[service]]\nname='cheap'\nprice='1 sat'\nupstream='{url}'\n\
             [[service]]\nname='dear'\npath=['/dear', '/m:run', '/a b']\nprice='1000 sat'\nupstream='{url}'"
        )
    });
    let shop = shop.await;
    let cheap = l402(&shop.buy("/cheap").await);
    for trick in ["/%64ear", "/dea%72/x", "/m%3Arun", "/m%3arun"] {
        assert_eq!(status(&shop, trick, &cheap).await, "400", "{trick}");
    }
    for dear in ["/dear", "/dear/%78", "/m:run", "/a%20b"] {
        assert_eq!(status(&shop, dear, &cheap).await, "402", "{dear}");
    }
    assert_eq!(shop.hits(), 0);
}

#[tokio::test]
async fn no_header_sends_a_request_to_another_path_or_method() {
    let shop = Shop::open().await;
    let tricks = [
        ("x-original-url", "/paid"),
        ("x-rewrite-url", "/paid"),
        ("x-http-method-override", "DELETE"),
        ("x-http-method", "DELETE"),
        ("x_method_override", "DELETE"),
    ];
    assert_eq!(shop.get("/free", &tricks).await.status, 200);
    let received = shop.origin.received();
    for (name, _) in tricks {
        assert!(!received[0].headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_caveat_on_the_path_cannot_be_walked_out_of() {
    let shop = Shop::open().await;
    let narrowed = l402(&shop.mint(&["services=api:0", "path_prefix=/mine"]));
    for (path, expected) in [
        ("/mine/x", "200"),
        ("/mine", "200"),
        ("/mine/../yours", "400"),
        ("/mine/%2e%2e/yours", "400"),
        ("/mines", "402"),
        ("/yours", "402"),
    ] {
        assert_eq!(status(&shop, path, &narrowed).await, expected, "{path}");
    }
}

#[tokio::test]
async fn an_absolute_target_is_judged_by_its_path() {
    let shop = Shop::open().await;
    assert_eq!(status(&shop, "http://x/free", "none").await, "200");
    assert_eq!(status(&shop, "http://x/paid", "none").await, "402");
    assert_eq!(status(&shop, "http://x/free/../paid", "none").await, "400");
    assert_eq!(status(&shop, "http://x", "none").await, "402");
    assert_eq!(shop.hits(), 1);
}
