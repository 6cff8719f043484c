//! Where administrators are served.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::raw::{Keys, Reader};

/// Where administrators are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// A port of this machine. It speaks no TLS, so nobody else reaches it.
    Tcp(SocketAddr),
    /// A socket that only the gateway's own user can connect to.
    Unix(PathBuf),
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    keys: &mut Keys<'_>,
    listen: SocketAddr,
) -> Option<AdminAddress> {
    const EXAMPLE: &str = "write `127.0.0.1:8403`, or `unix:/run/tollway/admin.sock`";
    let at = reader.text(keys, "admin")?;
    if let Some(path) = at.value.strip_prefix("unix:") {
        if path.starts_with('/') {
            return Some(AdminAddress::Unix(path.into()));
        }
        reader.bad(
            "admin",
            &at,
            "write the whole path of the socket: `unix:/run/tollway/admin.sock`",
        );
        return None;
    }
    match at.value.parse::<SocketAddr>() {
        Err(_) => reader.bad("admin", &at, EXAMPLE),
        Ok(address) if !address.ip().is_loopback() => {
            let why = "it speaks no TLS, so it listens on this machine only: `127.0.0.1:8403` or \
                       `unix:/run/tollway/admin.sock`; reach it from elsewhere by `ssh -L`";
            reader.bad("admin", &at, why);
        }
        Ok(address) if address == listen && address.port() != 0 => {
            reader.bad("admin", &at, "buyers are served there; write another port");
        }
        Ok(address) => return Some(AdminAddress::Tcp(address)),
    }
    None
}
