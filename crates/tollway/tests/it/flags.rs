//! curl's flags, with curl's meaning, on a site where everything is free.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::market::run;
use crate::run::{Said, TOLLWAY, tollway};
use crate::site::{Site, TEXT};

struct Shop {
    site: Site,
    home: TempDir,
}

impl Shop {
    async fn open() -> Self {
        Self { site: Site::open().await, home: tempfile::tempdir().unwrap() }
    }

    async fn get(&self, path: &str, flags: &[&str]) -> Said {
        let url = self.site.url(path);
        let line = [&["get"], flags, &[url.as_str()]].concat();
        run(tollway(self.home.path(), line)).await
    }

    /// What the server saw.
    async fn echo(&self, flags: &[&str]) -> Value {
        let said = self.get("/echo", flags).await;
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said:?}");
        said.json()
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.home.path().join(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_sent_as_the_flags_say() {
    let shop = Shop::open().await;
    shop.write("part.txt", "from a file");
    let seen =
        shop.echo(&["-d", "a=1", "--data-urlencode", "b=x y", "-A", "me", "-u", "u:p"]).await;
    assert_eq!((&seen["method"], &seen["body"]), (&"POST".into(), &"a=1&b=x%20y".into()));
    assert_eq!(seen["headers"]["user-agent"], "me");
    assert_eq!(seen["headers"]["authorization"], "Basic dTpw");

    let seen = shop.echo(&["-G", "-d", "q=1", "-b", "c=1; d=2", "-e", "http://a/"]).await;
    assert_eq!((&seen["method"], &seen["target"]), (&"GET".into(), &"/echo?q=1".into()));
    assert_eq!(
        (&seen["headers"]["cookie"], &seen["headers"]["referer"]),
        (&"c=1; d=2".into(), &"http://a/".into())
    );

    let seen = shop.echo(&["-F", "f=@part.txt;type=text/plain", "-F", "x=1"]).await;
    let body = seen["body"].as_str().unwrap();
    assert!(body.contains("filename=\"part.txt\"") && body.contains("from a file"), "{body}");
    assert!(
        seen["headers"]["content-type"]
            .as_str()
            .unwrap()
            .starts_with("multipart/form-data; boundary=")
    );

    let seen = shop.echo(&["-T", "part.txt"]).await;
    assert_eq!((&seen["method"], &seen["body"]), (&"PUT".into(), &"from a file".into()));
    let seen = shop.echo(&["-r", "0-4", "-z", "2026-01-31", "--http1.1", "--compressed"]).await;
    assert_eq!(seen["headers"]["range"], "bytes=0-4");
    assert_eq!(seen["headers"]["accept-encoding"], "gzip, deflate, br");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_when_that_is_asked() {
    let shop = Shop::open().await;
    let said = shop.get("/away", &["-w", "%{http_code} %{redirect_url}"]).await;
    assert_eq!(said.stdout, format!("302 {}", shop.site.url("/echo")), "{said:?}");
    let said = shop
        .get("/away", &["-L", "-d", "x", "-o", "o", "-w", "%{num_redirects} %{url_effective}"])
        .await;
    assert_eq!(said.stdout, format!("1 {}", shop.site.url("/echo")));
    assert!(shop.file("o").contains("\"method\":\"GET\""));
    shop.get("/away", &["-L", "--post302", "-d", "x", "-o", "o"]).await;
    assert!(shop.file("o").contains("\"method\":\"POST\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_named_and_placed_and_never_elsewhere() {
    let shop = Shop::open().await;
    let said = shop.get("/file/a.txt", &["-O", "--output-dir", "x/y", "--create-dirs"]).await;
    assert_eq!((said.code, said.stdout.as_str()), (0, ""), "{said:?}");
    assert_eq!(shop.file("x/y/a.txt"), TEXT);
    let said = shop.get("/named", &["-OJ", "--output-dir", "x"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(shop.file("x/given.txt"), TEXT);
    shop.write("mine", "mine");
    let said = shop
        .get("/file", &["-o", "mine", "--no-clobber", "-w", "%{filename_effective}", "-R"])
        .await;
    assert_eq!(
        (shop.file("mine"), shop.file("mine.1"), said.stdout),
        ("mine".into(), TEXT.into(), "mine.1".into())
    );
    let modified = std::fs::metadata(shop.home.path().join("mine.1")).unwrap().modified().unwrap();
    assert_eq!(httpdate::fmt_http_date(modified), "Sat, 31 Jan 2026 12:00:00 GMT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_where_it_ended_if_the_file_is_the_same() {
    let shop = Shop::open().await;
    shop.write("f", &TEXT[..10]);
    let said = shop.get("/file", &["-C", "-", "-o", "f", "-w", "%{size_download}"]).await;
    assert_eq!((said.code, said.stdout.as_str()), (0, "26"), "{said:?}");
    assert_eq!(shop.file("f"), TEXT);
    let said = shop.get("/file", &["-C", "-", "-o", "f"]).await;
    assert_eq!((said.code, shop.file("f").as_str()), (0, TEXT), "{said:?}");
    assert!(said.stderr.contains("complete"), "{said:?}");

    // What is there is of another version.
    shop.write("f", "another beginning");
    shop.write("f.etag", "\"v0\"\n");
    let said = shop.get("/file", &["-C", "-", "-o", "f"]).await;
    assert_eq!((said.code, shop.file("f").as_str()), (0, TEXT), "{said:?}");
    assert!(!shop.home.path().join("f.etag").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_not_sent() {
    let shop = Shop::open().await;
    shop.get("/file", &["--etag-save", "e", "-o", "f"]).await;
    assert_eq!(shop.file("e"), "\"v1\"\n");
    let said = shop.get("/file", &["--etag-compare", "e", "-w", "%{http_code}"]).await;
    assert_eq!(said.stdout, "304");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_compressed_on_its_way_arrives_plain() {
    let shop = Shop::open().await;
    let said = shop.get("/gzip", &["--compressed", "-i"]).await;
    assert!(said.stdout.contains("content-encoding: gzip"), "{said:?}");
    assert!(said.stdout.ends_with(TEXT), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_are_kept_in_a_jar_and_not_shown() {
    let shop = Shop::open().await;
    let said = shop.get("/login", &["-c", "jar", "-v", "--trace", "trace"]).await;
    assert!(!said.stderr.contains("hunter2"), "{said:?}");
    assert!(!shop.file("trace").contains("hunter2"));
    assert!(shop.file("jar").contains("session\thunter2"));
    assert_eq!(shop.echo(&["-b", "jar"]).await["headers"]["cookie"], "session=hunter2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_passes_is_tried_again() {
    let shop = Shop::open().await;
    let said = shop.get("/flaky/2", &["--retry", "3", "-w", " %{num_retries}"]).await;
    assert_eq!((said.code, said.stdout), (0, format!("{TEXT} 2")));
    assert_eq!(shop.site.asked(), 3);
    let said = shop.get("/status/404", &["--retry", "3", "-w", "%{num_retries}"]).await;
    assert_eq!(said.stdout, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_status_has_its_number_with_fail() {
    let shop = Shop::open().await;
    for (status, code) in [("404", 22), ("401", 5), ("403", 5), ("429", 6), ("500", 22)] {
        let path = format!("/status/{status}");
        let said = shop.get(&path, &["-f", "--format", "json"]).await;
        assert_eq!(said.code, code, "{said:?}");
        let error: Value = serde_json::from_str(&said.stderr).unwrap();
        let error = &error["error"];
        assert_eq!((&error["exit_code"], &error["money_moved"]), (&code.into(), &"no".into()));
        assert_eq!(error["retryable"], ["429", "500"].contains(&status));
        assert_eq!(shop.get(&path, &[]).await.code, 0);
        let said = shop.get(&path, &["-fs"]).await;
        assert_eq!((said.code, said.stderr.as_str()), (code, ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_urls_at_once_each_go_where_they_belong() {
    let shop = Shop::open().await;
    let urls: Vec<String> = (0..20).map(|n| shop.site.url(&format!("/file/{n}"))).collect();
    let mut line = vec!["get", "-Z", "--remote-name-all", "--format", "ndjson"];
    line.extend(urls.iter().map(String::as_str));
    let said = run(tollway(shop.home.path(), line)).await;
    assert_eq!((said.code, said.stdout.lines().count()), (0, 20), "{said:?}");
    assert!((0..20).all(|n| shop.file(&n.to_string()) == TEXT));

    let (bad, good) = (shop.site.url("/status/404"), shop.site.url("/file/x"));
    let said = run(tollway(shop.home.path(), ["get", "-f", &bad, &good])).await;
    assert_eq!((said.code, said.stdout.as_str()), (22, TEXT), "{said:?}");
    let said = run(tollway(shop.home.path(), ["get", "-f", "--fail-early", &bad, &good])).await;
    assert_eq!((said.code, said.stdout.as_str()), (22, ""), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_come_from_a_file_and_the_name_from_the_link() {
    let shop = Shop::open().await;
    shop.write(
        "flags",
        &format!("# mine\nurl = \"{}\"\n-H \"X-Mine: 1\"\n", shop.site.url("/echo")),
    );
    std::os::unix::fs::symlink(TOLLWAY, shop.home.path().join("tget")).unwrap();
    let mut command = tollway(shop.home.path(), ["-K", "flags"]);
    command = {
        let mut tget = std::process::Command::new(shop.home.path().join("tget"));
        tget.args(command.get_args()).env_clear().env("TOLLWAY_HOME", shop.home.path());
        tget.current_dir(shop.home.path());
        tget
    };
    let said = run(command).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.json()["headers"]["x-mine"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_reached_and_an_address_is_given() {
    let shop = Shop::open().await;
    let socket = shop.home.path().join("site.sock");
    Site::on_socket(&socket);
    let line = ["get", "--unix-socket", "site.sock", "http://localhost/file/x"];
    let said = run(tollway(shop.home.path(), line)).await;
    assert_eq!((said.code, said.stdout.as_str()), (0, TEXT), "{said:?}");

    let url = shop.site.url("/file/x").replace("127.0.0.1", "site.example");
    let port = url.split([':', '/']).nth(4).unwrap();
    let resolve = format!("site.example:{port}:127.0.0.1");
    let said = run(tollway(shop.home.path(), ["get", "--resolve", &resolve, &url])).await;
    assert_eq!((said.code, said.stdout.as_str()), (0, TEXT), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_is_refused_by_name_before_anything_is_sent() {
    let shop = Shop::open().await;
    for (flags, named) in [
        (&["--digest"][..], "--digest"),
        (&["--http3"], "--http3"),
        (&["-w", "%{num_connects}"], "%{num_connects}"),
        (&["--pinnedpubkey", "key.pem"], "--pinnedpubkey"),
        (&["-C", "-"], "--continue-at"),
    ] {
        let said = shop.get("/flaky/0", flags).await;
        assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{said:?}");
        assert!(said.stderr.contains(named), "{said:?}");
    }
    assert_eq!(shop.site.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_not_taken() {
    let shop = Shop::open().await;
    let said = shop.get("/file", &["--max-filesize", "10", "-o", "f", "--remove-on-error"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(!Path::new(&shop.home.path().join("f")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_printed_and_a_proxy_is_gone_through() {
    let shop = Shop::open().await;
    let said = shop.get("/file", &["-I"]).await;
    assert!(
        said.stdout.starts_with("HTTP/1.1 200 OK\r\n") && said.stdout.contains("etag: "),
        "{said:?}"
    );
    assert!(!said.stdout.contains(TEXT));
    // The site takes a whole URL as well as a path, so it can stand in for a proxy.
    let proxy = shop.site.url("");
    let line = ["get", "-x", &proxy, "http://nowhere.example/echo"];
    let said = run(tollway(shop.home.path(), line)).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.json()["target"], "http://nowhere.example/echo");
    let mut command = tollway(shop.home.path(), ["get", "http://nowhere.example/echo"]);
    command.env("http_proxy", &proxy);
    assert_eq!(run(command).await.code, 0);
}
