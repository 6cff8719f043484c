//! How many bills a second a gateway writes that is paid on a real lnd, in a process of its own, as its
//! user starts it.

use std::ffi::OsStr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::lnd::rig::Lnd;
use crate::{Failure, Row, rate};

/// A gateway that nobody's budget for unpaid bills stops.
struct Gateway {
    _process: Child,
    _folder: tempfile::TempDir,
    url: String,
}

impl Gateway {
    async fn start(program: &OsStr, seller: &Lnd) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("gateway.toml");
        let node = seller.url(&seller.macaroon("invoice"));
        // Nothing passes, so nobody is ever behind it.
        let text = format!(
            "listen = \"127.0.0.1:0\"\nnode = \"{node}\"\nunpaid_per_ip = \"off\"\n\
             unpaid_total = \"off\"\n[[service]]\nname = \"bench\"\n\
             upstream = \"http://127.0.0.1:1\"\nprice = \"1 sat\"\n"
        );
        std::fs::write(&file, text)?;
        let mut command = Command::new(program);
        command.args(["serve", "--format", "json", "--config"]).arg(&file);
        command.env("TOLLWAY_HOME", folder.path()).env("TOLLWAY_LOG", "error");
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdout = process.stdout.take().ok_or("its stdout is piped")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let said: Value = serde_json::from_str(&line.ok_or("the gateway did not start")?)?;
        let url = said["listen"].as_str().ok_or("it says where it listens")?.to_owned();
        Ok(Self { _process: process, _folder: folder, url })
    }
}

/// 402s a second, with the slowest hundredth and everything that was no bill.
pub(crate) async fn bills(
    program: &OsStr,
    seller: &Lnd,
    count: usize,
    widths: &[usize],
) -> Result<Vec<Row>, Failure> {
    let gateway = Gateway::start(program, seller).await?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    let mut rows = Vec::new();
    for &width in widths {
        let seen = Arc::new(Mutex::new((Vec::with_capacity(count), 0_usize)));
        let asked = rate(count, width, |_| {
            let (http, url, seen) = (http.clone(), gateway.url.clone(), Arc::clone(&seen));
            async move {
                let start = Instant::now();
                let status = http.get(&url).send().await?.status();
                let mut seen = seen.lock().expect("no code under this lock can panic");
                match status.as_u16() {
                    402 => seen.0.push(start.elapsed()),
                    _ => seen.1 += 1,
                }
                Ok(())
            }
        });
        let a_second = asked.await?;
        let (mut took, errors) =
            std::mem::take(&mut *seen.lock().expect("no code under this lock can panic"));
        took.sort_unstable();
        let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or(Duration::ZERO);
        let row = Row { node: "lnd", what: "402s", width, by: "gateway", a_second, slow: None };
        rows.push(Row { slow: Some((p99, errors)), ..row });
    }
    Ok(rows)
}
