//! Which proxies stand in front of the gateway, and how they say whom they speak for.

use ipnet::IpNet;

use super::raw::{Keys, Reader};

/// Proxies that are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Where they are.
    pub networks: Vec<IpNet>,
    /// Which header they write.
    pub told: Told,
    /// Whether each of their connections begins with a PROXY header (version 1 or 2).
    pub protocol: bool,
}

/// The header in which a proxy names its client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// `X-Forwarded-For`.
    #[default]
    ForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Reads a list of networks and of single addresses.
pub(super) fn networks(
    reader: &mut Reader<'_>,
    keys: &mut Keys<'_>,
    key: &'static str,
) -> Vec<IpNet> {
    let mut networks: Vec<IpNet> = Vec::new();
    for at in reader.texts(keys, key) {
        let alone = at.value.parse::<std::net::IpAddr>().map(IpNet::from);
        match alone.or_else(|_| at.value.parse::<IpNet>()) {
            Ok(network) => networks.push(network),
            Err(_) => {
                let example = "write a network or an address: `10.0.0.0/8`, `192.0.2.7`";
                reader.bad(key, &at, example);
            }
        }
    }
    networks
}

/// Reads the keys that concern proxies.
pub(super) fn read(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Proxies {
    let networks = networks(reader, keys, "trusted_proxies");
    let told = match reader.text(keys, "proxies_tell") {
        None => Told::default(),
        Some(at) => match at.value.as_str() {
            "x-forwarded-for" => Told::ForwardedFor,
            "forwarded" => Told::Forwarded,
            _ => {
                reader.bad("proxies_tell", &at, "write `x-forwarded-for` or `forwarded`");
                Told::default()
            }
        },
    };
    let protocol = reader.flag(keys, "proxy_protocol").unwrap_or(false);
    Proxies { networks, told, protocol }
}
