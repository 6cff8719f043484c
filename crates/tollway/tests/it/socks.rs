//! A purchase by way of a SOCKS5 proxy that looks names up itself, as for an onion service.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::market::{Market, run};
use crate::run::tollway;

/// Connects whatever it is asked for to one server (RFC 1928, without authentication), and remembers
/// what was asked: the kind of address, and the address.
struct Socks {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<(u8, String)>>>,
}

impl Socks {
    async fn open(to: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let asked = Arc::clone(&shared);
                tokio::spawn(async move { serve(stream, to, &asked).await });
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<(u8, String)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    to: SocketAddr,
    asked: &Mutex<Vec<(u8, String)>>,
) -> std::io::Result<()> {
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting).await?;
    let mut methods = vec![0; usize::from(greeting[1])];
    stream.read_exact(&mut methods).await?;
    stream.write_all(&[5, 0]).await?;
    let mut request = [0; 4];
    stream.read_exact(&mut request).await?;
    let host = match request[3] {
        1 => {
            let mut ip = [0; 4];
            stream.read_exact(&mut ip).await?;
            std::net::Ipv4Addr::from(ip).to_string()
        }
        _ => {
            let mut name = vec![0; usize::from(stream.read_u8().await?)];
            stream.read_exact(&mut name).await?;
            String::from_utf8(name).unwrap()
        }
    };
    let port = stream.read_u16().await?;
    asked.lock().unwrap().push((request[3], format!("{host}:{port}")));
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    let mut upstream = TcpStream::connect(to).await?;
    copy_bidirectional(&mut stream, &mut upstream).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_onion_service_is_paid_through_the_proxy_that_finds_it() {
    let market = Market::open().await;
    let socks = Socks::open(market.door.address().parse().unwrap()).await;
    let (proxy, node) = (socks.address.to_string(), market.node());
    let url = "http://abcdefghijklmnop.onion/weather/berlin";
    for flags in [["--socks5-hostname", proxy.as_str()], ["-x", &format!("socks5h://{proxy}")]] {
        let line = [&["get", "--node", &node, url], &flags[..]].concat();
        let said = run(tollway(market.folder.path(), line)).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.stdout.contains("/weather/berlin"), "{said:?}");
    }
    assert_eq!(market.sold(), 1, "its token opens it the second time");
    let name = (3, "abcdefghijklmnop.onion:80".to_owned());
    assert!(socks.asked().iter().all(|asked| *asked == name), "{:?}", socks.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_looked_up_here_or_there_as_it_is_asked() {
    let market = Market::open().await;
    let socks = Socks::open(market.door.address().parse().unwrap()).await;
    let proxy = socks.address.to_string();
    let url = "http://localhost:7/free/page";
    for (flag, kind) in [("--socks5", 1), ("--socks5-hostname", 3)] {
        let line = ["get", "-4", url, flag, &proxy];
        let said = run(tollway(market.folder.path(), line)).await;
        assert_eq!(said.code, 0, "{flag}: {said:?}");
        assert_eq!(socks.asked().last().unwrap().0, kind, "{flag}");
    }
    let line = ["get", url, "--socks5", &proxy, "--noproxy", "localhost"];
    let direct = run(tollway(market.folder.path(), line)).await;
    assert_eq!((direct.code, socks.asked().len()), (4, 2), "nobody listens on port 7: {direct:?}");
}
