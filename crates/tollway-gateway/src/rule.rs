//! Parts of a service that have terms of their own: a price, or a capability that a token must have.
//!
//! A token opens what it was sold for. A rule with a price of its own sells tokens with its name as
//! their one capability, and asks for that capability; so a cheap rule's token never opens a dear one.
//! A rule without a price belongs to the rest of the service, and is opened by the tokens for that.

use std::borrow::Cow;

use http::Method;
use l402::Msat;
use sha2::{Digest, Sha256};

use crate::matching::{Methods, PathMatch};
use crate::tariff::{Tariff, TariffError, is_name};

/// What is asked of requests that no rule covers, where there are rules.
pub(crate) const BASE: &str = "base";

/// What something costs, as far as the tariff itself knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Price {
    /// That much.
    Fixed(Msat),
    /// Whatever this one of the service's pricers says.
    Quoted {
        /// Which, from 0.
        by: usize,
        /// Its prices differ from route to route, so its tokens are for one route each.
        per_route: bool,
    },
}

/// A part of a service, by path and method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    name: String,
    paths: Vec<PathMatch>,
    methods: Methods,
    price: Option<Price>,
}

/// What holds for one request, as far as its method and one reading of its path decide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// It costs nothing.
    pub(crate) free: bool,
    /// It is not asked to pay, only refused.
    pub(crate) no_invoice: bool,
    /// The rule that covers it, by its place in the tariff.
    rule: Option<usize>,
    /// What it costs otherwise.
    pub(crate) price: Price,
    /// Names the route, where tokens are for one route each.
    route: Option<[u8; 8]>,
}

impl Rule {
    /// A rule that covers everything and changes nothing yet. Tokens call it by its name.
    ///
    /// # Errors
    /// [`TariffError::Name`]; `base` is taken.
    pub fn new(name: &str) -> Result<Self, TariffError> {
        if !is_name(name) || name == BASE {
            return Err(TariffError::Name);
        }
        let (name, methods) = (name.to_owned(), Methods::default());
        Ok(Self { name, paths: Vec::new(), methods, price: None })
    }

    /// Names one path that it covers: `/v1` and all below it, `exact:/v1`, or `regex:/v[0-9]+`.
    ///
    /// # Errors
    /// [`TariffError::Path`].
    pub fn path(mut self, written: &str) -> Result<Self, TariffError> {
        self.paths.push(PathMatch::read(written).map_err(TariffError::Path)?);
        Ok(self)
    }

    /// Names one method that it covers.
    ///
    /// # Errors
    /// [`TariffError::Method`].
    pub fn method(mut self, written: &str) -> Result<Self, TariffError> {
        self.methods.add(written).map_err(TariffError::Method)?;
        Ok(self)
    }

    /// Gives it a price of its own.
    ///
    /// # Errors
    /// [`TariffError::Price`].
    pub fn price(self, price: Msat) -> Result<Self, TariffError> {
        match price > Msat::SUPPLY {
            true => Err(TariffError::Price),
            false => Ok(self.costs(Price::Fixed(price))),
        }
    }

    pub(crate) fn costs(mut self, price: Price) -> Self {
        self.price = Some(price);
        self
    }

    pub(crate) fn paths(&self) -> &[PathMatch] {
        &self.paths
    }

    pub(crate) fn methods(&self) -> &Methods {
        &self.methods
    }

    pub(crate) fn own_price(&self) -> Option<Price> {
        self.price
    }

    /// How well it covers a request, if it does; the least is the best.
    fn rank(&self, method: &Method, path: &str) -> Option<impl Ord + use<>> {
        if !self.methods.covers(method) {
            return None;
        }
        let all = [PathMatch::all()];
        let paths = if self.paths.is_empty() { &all[..] } else { &self.paths[..] };
        paths.iter().filter(|rule| rule.covers(path)).map(|rule| rule.rank(&self.methods)).min()
    }
}

impl Tariff {
    /// Adds a rule. Of several that cover a request the most exact counts, as for services.
    ///
    /// # Errors
    /// [`TariffError::Twice`].
    pub fn rule(mut self, rule: Rule) -> Result<Self, TariffError> {
        if self.rules.iter().any(|other| other.name == rule.name) {
            return Err(TariffError::Twice);
        }
        self.rules.push(rule);
        Ok(self)
    }

    /// What holds for one method and one reading of a path.
    pub(crate) fn terms(&self, method: &Method, path: &str) -> Terms {
        let any = |list: &[PathMatch]| list.iter().any(|listed| listed.covers(path));
        let rule = match self.rules.is_empty() {
            true => None,
            false => {
                let rules = self.rules.iter().enumerate();
                let ranked = rules.filter_map(|(i, rule)| Some((rule.rank(method, path)?, i)));
                ranked.min().map(|(_, index)| index)
            }
        };
        let price = rule.and_then(|index| self.rules[index].price).unwrap_or(self.price);
        let route = match price {
            Price::Quoted { per_route: true, .. } => Some(route_id(method, path)),
            Price::Quoted { per_route: false, .. } | Price::Fixed(_) => None,
        };
        let (free, no_invoice) = (any(&self.free), any(&self.no_invoice));
        Terms { free, no_invoice, rule, price, route }
    }

    /// The name of the rule that these terms are of.
    pub(crate) fn rule_name(&self, terms: &Terms) -> &str {
        terms.rule.map_or(BASE, |index| &self.rules[index].name)
    }

    /// The capability that a token must have under these terms. Where nothing has terms of its own,
    /// there is none.
    pub(crate) fn capability(&self, terms: &Terms) -> Option<Cow<'_, str>> {
        let name = self.rule_name(terms);
        match terms.route {
            Some(route) => Some(Cow::Owned(for_route(name, route))),
            None if self.rules.is_empty() => None,
            None => Some(Cow::Borrowed(name)),
        }
    }

    /// The capabilities of a token that is sold under these terms.
    pub(crate) fn granted(&self, terms: &Terms) -> Vec<Cow<'_, str>> {
        let own_price = terms.rule.is_some_and(|index| self.rules[index].price.is_some());
        if terms.route.is_some() || own_price {
            return self.capability(terms).into_iter().collect();
        }
        // What has no price of its own is opened by what is sold for the whole.
        let rules = self.rules.iter().filter(|rule| rule.price.is_none());
        let names = rules.map(|rule| Cow::Borrowed(rule.name.as_str()));
        let others = self.capabilities.iter().map(|name| Cow::Borrowed(name.as_str()));
        let base = self.capability(terms).map(|_| Cow::Borrowed(BASE));
        base.into_iter().chain(names).chain(others).collect()
    }
}

fn for_route(rule: &str, route: [u8; 8]) -> String {
    use hex::DisplayHex;
    format!("{rule}.{:x}", route.as_hex())
}

/// A few bytes that no two routes share but by design, and then only with great effort.
fn route_id(method: &Method, path: &str) -> [u8; 8] {
    let digest = Sha256::new().chain_update(method.as_str()).chain_update(" ").chain_update(path);
    let digest: [u8; 32] = digest.finalize().into();
    digest[..8].try_into().expect("eight of thirty-two bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sat(sat: u64) -> Msat {
        Msat::from_sat(sat).unwrap()
    }

    fn tariff() -> Tariff {
        let rule = |name: &str, path: &str| Rule::new(name).unwrap().path(path).unwrap();
        Tariff::new("api", sat(1))
            .unwrap()
            .rule(rule("images", "/images").method("POST").unwrap().price(sat(100)).unwrap())
            .unwrap()
            .rule(rule("big", "exact:/images/big").price(sat(500)).unwrap())
            .unwrap()
            .rule(rule("read", "/read"))
            .unwrap()
    }

    #[test]
    fn the_most_exact_rule_counts() {
        let tariff = tariff();
        for (method, path, rule, price) in [
            ("POST", "/images/x", "images", 100),
            ("GET", "/images/x", BASE, 1),
            ("POST", "/images/big", "big", 500),
            ("GET", "/images/big", "big", 500),
            ("GET", "/read/x", "read", 1),
            ("GET", "/", BASE, 1),
        ] {
            let terms = tariff.terms(&method.parse().unwrap(), path);
            assert_eq!(tariff.rule_name(&terms), rule, "{method} {path}");
            assert_eq!(terms.price, Price::Fixed(sat(price)), "{method} {path}");
        }
    }

    #[test]
    fn a_token_is_sold_for_what_its_price_is_of() {
        let tariff = tariff();
        let granted = |method: &str, path| {
            tariff.granted(&tariff.terms(&method.parse().unwrap(), path)).join(",")
        };
        assert_eq!(granted("POST", "/images/x"), "images");
        assert_eq!(granted("GET", "/images/big"), "big");
        assert_eq!(granted("GET", "/read/x"), "base,read");
        assert_eq!(granted("GET", "/"), "base,read");
        let plain = Tariff::new("api", sat(1)).unwrap();
        let terms = plain.terms(&Method::GET, "/");
        assert_eq!((plain.granted(&terms).len(), plain.capability(&terms)), (0, None));
    }

    #[test]
    fn what_is_priced_by_route_is_sold_by_route() {
        let mut tariff = Tariff::new("api", sat(1)).unwrap();
        tariff.price = Price::Quoted { by: 0, per_route: true };
        let capability = |method: &Method, path: &str| {
            tariff.capability(&tariff.terms(method, path)).unwrap().into_owned()
        };
        let one = capability(&Method::GET, "/a");
        assert_eq!(one, capability(&Method::GET, "/a"));
        assert!(one.starts_with("base.") && one.len() == 5 + 16);
        for (method, path) in [(Method::GET, "/b"), (Method::POST, "/a"), (Method::GET, "/a/")] {
            assert_ne!(capability(&method, path), one);
        }
    }

    #[test]
    fn a_rules_name_is_its_own() {
        assert_eq!(Rule::new(BASE), Err(TariffError::Name));
        assert_eq!(Rule::new("a,b"), Err(TariffError::Name));
        let twice = tariff().rule(Rule::new("read").unwrap());
        assert_eq!(twice, Err(TariffError::Twice));
    }
}
