//! Whose request it is: by host, path and method, each exact, by its beginning or by an expression.

use crate::shop::Shop;

/// A shop whose origin is behind services with these keys; each is called by its place.
async fn shop(services: &[&str]) -> Shop {
    Shop::configured(|origin| {
        let service = |(index, keys): (usize, &&str)| {
            let url = origin.url(&format!("/{index}"));
            format!("[[service]]\nname='{index}'\nauth='off'\nupstream='{url}'\n{keys}\n")
        };
        services.iter().enumerate().map(service).collect()
    })
    .await
}

/// Which of them answers.
async fn who(shop: &Shop, method: &str, host: &str, path: &str) -> String {
    let answer = shop.send(shop.request(method, path, &[("host", host)])).await;
    match answer.status.as_u16() {
        200 => answer.body.split('/').nth(1).unwrap().to_owned(),
        status => status.to_string(),
    }
}

#[tokio::test]
async fn a_request_goes_where_host_path_and_method_say() {
    let shop = shop(&[
        "path = '/v1'",
        "path = '/v1'\nmethod = ['POST', 'PUT']",
        "path = ['exact:/v1/x', 'regex:/v[0-9]+/models/[a-z]+']",
        "host = 'api.example.com'",
        "host = 'prefix:eu.'\npath = '/v1'",
        "host = 'regex:[a-z]+[.]example[.]com'",
    ]);
    let shop = shop.await;
    for (method, host, path, service) in [
        ("GET", "h", "/v1/y", "0"),
        ("POST", "h", "/v1/y", "1"),
        ("DELETE", "h", "/v1/y", "0"),
        ("POST", "h", "/v1/x", "2"),
        ("POST", "h", "/v22/models/a", "2"),
        ("GET", "h", "/v1/models/a/b", "0"),
        ("GET", "h", "/x/v1/models/a", "404"),
        ("GET", "API.example.com:80", "/v1/y", "3"),
        ("GET", "eu.example.org", "/v1", "4"),
        ("GET", "eu.example.org", "/", "404"),
        ("GET", "b.example.com", "/v1/x", "5"),
        ("GET", "b.example.com.evil", "/", "404"),
        ("GET", "h", "/", "404"),
    ] {
        assert_eq!(who(&shop, method, host, path).await, service, "{method} {host}{path}");
    }
}

#[tokio::test]
async fn a_service_that_is_put_in_first_does_not_hide_a_more_exact_one() {
    let shop = shop(&["", "path = '/a'", "path = 'exact:/a/b'"]).await;
    for (path, service) in [("/", "0"), ("/a/c", "1"), ("/a/b", "2")] {
        assert_eq!(who(&shop, "GET", "h", path).await, service, "{path}");
    }
}
