//! `client_ip=192.0.2.0/24,2001:db8::/32`: from where a token may be used.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Caveat, Facts};
use crate::hash::PaymentHash;

/// A list of networks in CIDR notation, or single addresses. An IPv4 address that arrives mapped
/// into IPv6 is the IPv4 address. A request whose origin is not known is from nowhere.
#[derive(Debug)]
pub(super) struct ClientIp;

impl Caveat for ClientIp {
    fn condition(&self) -> &'static str {
        "client_ip"
    }

    fn allows(&self, value: &str, facts: &Facts<'_>, _paid: PaymentHash) -> bool {
        let (Some(nets), Some(ip)) = (networks(value), facts.client_ip) else { return false };
        nets.iter().any(|net| net.contains(&ip.to_canonical()))
    }

    fn narrows(&self, previous: &str, next: &str) -> bool {
        let (Some(before), Some(after)) = (networks(previous), networks(next)) else {
            return false;
        };
        after.iter().all(|net| before.iter().any(|wider| wider.contains(net)))
    }
}

fn networks(value: &str) -> Option<Vec<IpNet>> {
    value.split(',').map(|item| item.parse().ok().or_else(|| single(item))).collect()
}

fn single(item: &str) -> Option<IpNet> {
    item.parse::<IpAddr>().ok().map(|ip| IpNet::from(ip.to_canonical()))
}
