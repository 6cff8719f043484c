//! What one of lnd's macaroons allows, read from the macaroon itself: its identifier is the byte 3 and
//! then a protobuf message `{nonce = 1, storageId = 2, ops = 3 {entity = 1, actions = 2}}`.

use l402::Macaroon;

use crate::watched::Unusable;
use hex::FromHex;

/// One of lnd's calls, and the entity and action whose holder may make it.
#[derive(Debug)]
pub(super) struct Needs {
    pub(super) call: &'static str,
    entity: &'static str,
    action: &'static str,
}

/// What somebody needs who plays this part.
#[derive(Debug)]
pub(super) struct Part {
    name: &'static str,
    needs: &'static [Needs],
    /// What it goes faster with, and can be played without.
    helps: &'static [&'static str],
}

pub(super) const SEND: &str = "/routerrpc.Router/SendPaymentV2";
pub(super) const TRACK: &str = "/routerrpc.Router/TrackPaymentV2";
pub(super) const ADD: &str = "/lnrpc.Lightning/AddInvoice";
pub(super) const LOOKUP: &str = "/lnrpc.Lightning/LookupInvoice";
pub(super) const SUBSCRIBE: &str = "/lnrpc.Lightning/SubscribeInvoices";
pub(super) const INFO: &str = "/lnrpc.Lightning/GetInfo";
pub(super) const COINS: &str = "/lnrpc.Lightning/WalletBalance";
pub(super) const LIQUIDITY: &str = "/lnrpc.Lightning/ChannelBalance";
pub(super) const CHANNELS: &str = "/lnrpc.Lightning/ListChannels";
pub(super) const PENDING: &str = "/lnrpc.Lightning/PendingChannels";
pub(super) const PAYMENTS: &str = "/lnrpc.Lightning/ListPayments";
pub(super) const INVOICES: &str = "/lnrpc.Lightning/ListInvoices";
pub(super) const ADDRESS: &str = "/lnrpc.Lightning/NewAddress";
pub(super) const CONNECT: &str = "/lnrpc.Lightning/ConnectPeer";
pub(super) const OPEN: &str = "/lnrpc.Lightning/OpenChannelSync";
pub(super) const CLOSE: &str = "/lnrpc.Lightning/CloseChannel";
pub(super) const ESTIMATE: &str = "/lnrpc.Lightning/EstimateFee";
pub(super) const SEND_COINS: &str = "/lnrpc.Lightning/SendCoins";

const GET_INFO: Needs = Needs { call: INFO, entity: "info", action: "read" };

pub(super) static BUYER: Part = Part {
    name: "buyer",
    needs: &[
        Needs { call: SEND, entity: "offchain", action: "write" },
        Needs { call: TRACK, entity: "offchain", action: "read" },
    ],
    helps: &[],
};

pub(super) static SELLER: Part = Part {
    name: "seller",
    needs: &[
        Needs { call: ADD, entity: "invoices", action: "write" },
        Needs { call: LOOKUP, entity: "invoices", action: "read" },
    ],
    helps: &[SUBSCRIBE],
};

/// Whoever looks at the node's money and changes nothing.
pub(super) static OBSERVER: Part = Part {
    name: "observer",
    needs: &[
        Needs { call: COINS, entity: "onchain", action: "read" },
        Needs { call: LIQUIDITY, entity: "offchain", action: "read" },
        Needs { call: CHANNELS, entity: "offchain", action: "read" },
        Needs { call: PENDING, entity: "offchain", action: "read" },
        Needs { call: PAYMENTS, entity: "offchain", action: "read" },
        Needs { call: INVOICES, entity: "invoices", action: "read" },
    ],
    helps: &[],
};

/// Whoever opens and closes channels and sends coins: all the node has can be given away with it.
static OWNER: Part = Part {
    name: "owner",
    needs: &[
        Needs { call: ADDRESS, entity: "address", action: "write" },
        Needs { call: CONNECT, entity: "peers", action: "write" },
        Needs { call: OPEN, entity: "onchain", action: "write" },
        Needs { call: CLOSE, entity: "onchain", action: "write" },
        Needs { call: ESTIMATE, entity: "onchain", action: "read" },
        Needs { call: SEND_COINS, entity: "onchain", action: "write" },
        Needs { call: CHANNELS, entity: "offchain", action: "read" },
        Needs { call: PENDING, entity: "offchain", action: "read" },
    ],
    helps: &[],
};

impl Part {
    /// The part that makes this call.
    pub(super) fn that_makes(call: &str) -> &'static Self {
        let parts = [&BUYER, &SELLER, &OBSERVER, &OWNER];
        let makes = |part: &&&Self| part.needs.iter().any(|needs| needs.call == call);
        parts.iter().find(makes).copied().unwrap_or(&SELLER)
    }

    /// The calls that it makes, asking who the node is included.
    pub(super) fn calls(&self) -> impl Iterator<Item = &'static str> {
        let needs = self.needs.iter().map(|needs| needs.call);
        needs.chain(self.helps.iter().copied()).chain([GET_INFO.call])
    }

    /// Bakes exactly what is needed.
    pub(super) fn command(&self) -> String {
        let mut command = format!("lncli bakemacaroon --save_to {}.macaroon", self.name);
        for call in self.calls() {
            command.push_str(" uri:");
            command.push_str(call);
        }
        command
    }
}

/// A macaroon's rights. Unknown, when it was baked by somebody other than lnd: then lnd will say.
#[derive(Debug)]
pub(super) struct Allowed(Option<Vec<(String, Vec<String>)>>);

impl Allowed {
    pub(super) fn by(macaroon: &Macaroon) -> Self {
        Self(operations(macaroon.identifier()))
    }

    /// The command that bakes what is lacking for that part, or nothing if nothing is.
    pub(super) fn lacks(&self, part: &Part) -> Option<String> {
        let lacks = part.needs.iter().any(|needs| !self.may(needs));
        lacks.then(|| part.command())
    }

    pub(super) fn may_subscribe(&self) -> bool {
        self.may(&Needs { call: SUBSCRIBE, entity: "invoices", action: "read" })
    }

    pub(super) fn may_ask_for_info(&self) -> bool {
        self.may(&GET_INFO)
    }

    pub(super) fn warn_if_too_wide(&self) {
        if let Some(remedy) = self.too_wide() {
            tracing::warn!(
                "this lnd macaroon can do far more than pay and be paid: it can empty the node. \
                 {remedy}"
            );
        }
    }

    /// The commands that bake smaller ones, if it can empty the node.
    pub(super) fn too_wide(&self) -> Option<String> {
        let wide = [("macaroon", "generate"), ("macaroon", "write"), ("onchain", "write")];
        let is_wide = wide.iter().any(|(entity, action)| self.has(entity, action));
        is_wide.then(|| {
            let (buyer, seller) = (BUYER.command(), SELLER.command());
            format!("A smaller one to pay: {buyer}. A smaller one to be paid: {seller}")
        })
    }

    fn may(&self, needs: &Needs) -> bool {
        self.0.is_none() || self.has(needs.entity, needs.action) || self.has("uri", needs.call)
    }

    fn has(&self, entity: &str, action: &str) -> bool {
        self.0
            .iter()
            .flatten()
            .any(|(of, actions)| of == entity && actions.iter().any(|a| a == action))
    }
}

/// A macaroon's file, binary as lnd writes it or in hexadecimal.
pub(super) fn read(file: &[u8]) -> Result<Macaroon, Unusable> {
    let text = std::str::from_utf8(file).ok().map(str::trim);
    let bytes = text.and_then(|text| Vec::from_hex(text).ok());
    Macaroon::parse(bytes.as_deref().unwrap_or(file)).map_err(|_| "is no macaroon")
}

fn operations(identifier: &[u8]) -> Option<Vec<(String, Vec<String>)>> {
    let mut operations = Vec::new();
    for (field, value) in Fields(identifier.strip_prefix(&[3])?) {
        if field? != 3 {
            continue;
        }
        let (mut entity, mut actions) = (String::new(), Vec::new());
        for (field, value) in Fields(value) {
            let text = String::from_utf8(value.to_vec()).ok()?;
            match field? {
                1 => entity = text,
                2 => actions.push(text),
                _ => {}
            }
        }
        operations.push((entity, actions));
    }
    Some(operations)
}

/// The fields of a protobuf message whose fields are all of the wire type "length and bytes". Ends
/// with no field number where it is something else.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (Option<u64>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.map_or((None, &[][..]), |(field, value)| (Some(field), value)))
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, &'a [u8])> {
        let tag = self.number()?;
        if tag & 7 != 2 {
            return None;
        }
        let length = usize::try_from(self.number()?).ok()?;
        let (value, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some((tag >> 3, value))
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..63).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baked(operations: &[(&str, &[&str])]) -> Allowed {
        let field = |number: u8, bytes: &[u8]| {
            let mut field = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
            field.extend_from_slice(bytes);
            field
        };
        let mut identifier = vec![3];
        identifier.extend(field(1, b"nonce"));
        identifier.extend(field(2, b"0"));
        for (entity, actions) in operations {
            let mut operation = field(1, entity.as_bytes());
            for action in *actions {
                operation.extend(field(2, action.as_bytes()));
            }
            identifier.extend(field(3, &operation));
        }
        Allowed(Some(super::operations(&identifier).unwrap()))
    }

    #[test]
    fn a_part_can_be_played_with_the_rights_or_with_the_calls() {
        let wide = baked(&[("offchain", &["read", "write"]), ("invoices", &["read"])]);
        assert!(wide.lacks(&BUYER).is_none());
        assert!(wide.lacks(&SELLER).is_some());
        let narrow = baked(&[("uri", &[ADD, LOOKUP])]);
        assert!(narrow.lacks(&SELLER).is_none());
        let command = narrow.lacks(&BUYER).unwrap();
        assert_eq!(
            command,
            "lncli bakemacaroon --save_to buyer.macaroon uri:/routerrpc.Router/SendPaymentV2 \
             uri:/routerrpc.Router/TrackPaymentV2 uri:/lnrpc.Lightning/GetInfo"
        );
    }

    #[test]
    fn paying_without_being_able_to_ask_how_it_ended_is_not_paying() {
        assert!(baked(&[("uri", &[SEND])]).lacks(&BUYER).is_some());
        assert!(baked(&[("offchain", &["write"])]).lacks(&BUYER).is_some());
    }

    #[test]
    fn an_identifier_that_is_not_lnds_says_nothing() {
        for identifier in
            [&b""[..], b"\0\0", b"\x02\x0a\x00", b"\x03\x0a", b"\x03\x08\x01", b"\x03\x0a\xff\xff"]
        {
            assert_eq!(operations(identifier), None, "{identifier:?}");
        }
        assert!(Allowed(None).lacks(&BUYER).is_none());
    }
}
