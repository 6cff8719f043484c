//! What an administrator may do, by name, and how credentials are made.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use l402::{Keyring, Macaroon, Secret};

/// One thing that an administrator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// See the services.
    ServicesRead,
    /// Change the services, in force and in the file.
    ServicesWrite,
    /// See which tokens were offered.
    TokensRead,
    /// Revoke tokens.
    TokensRevoke,
    /// See what was asked for and paid.
    PaymentsRead,
    /// See whether everything works.
    HealthRead,
    /// See the configuration.
    ConfigRead,
    /// Have the configuration's file read again.
    Reload,
}

/// Every capability, by name.
pub static CAPABILITIES: &[(Capability, &str)] = &[
    (Capability::ServicesRead, "services:read"),
    (Capability::ServicesWrite, "services:write"),
    (Capability::TokensRead, "tokens:read"),
    (Capability::TokensRevoke, "tokens:revoke"),
    (Capability::PaymentsRead, "payments:read"),
    (Capability::HealthRead, "health:read"),
    (Capability::ConfigRead, "config:read"),
    (Capability::Reload, "reload"),
];

/// No capability has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no capability; known are {known}", known = capabilities())]
pub struct UnknownCapability(String);

/// The names of all capabilities, with commas between.
pub fn capabilities() -> String {
    let names: Vec<&str> = CAPABILITIES.iter().map(|(_, name)| *name).collect();
    names.join(", ")
}

impl Capability {
    /// Its name, as it stands in a credential.
    pub fn name(self) -> &'static str {
        let entry = CAPABILITIES.iter().find(|(capability, _)| *capability == self);
        entry.expect("every capability is in the table").1
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Self, UnknownCapability> {
        let entry = CAPABILITIES.iter().find(|(_, name)| *name == text);
        entry.map(|(capability, _)| *capability).ok_or_else(|| UnknownCapability(text.to_owned()))
    }
}

/// Makes a credential that may do these things until then, and its text. Any gateway with the same master
/// key takes it.
///
/// # Errors
/// The system gives no random numbers.
pub fn bake(
    keyring: &Keyring,
    may: &[Capability],
    until: Option<SystemTime>,
) -> Result<(Macaroon, Secret<String>), getrandom::Error> {
    let mut nonce = [0; 28];
    getrandom::fill(&mut nonce)?;
    let names: Vec<&str> = may.iter().map(|capability| capability.name()).collect();
    let macaroon = keyring.admin_keys().bake(nonce, &names, until);
    let text = Secret::new(macaroon.to_base64());
    Ok((macaroon, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_has_one_name_that_reads_back() {
        for (capability, name) in CAPABILITIES {
            assert_eq!(name.parse(), Ok(*capability));
            assert_eq!(capability.to_string(), *name);
        }
        let unknown = "services".parse::<Capability>().unwrap_err().to_string();
        assert!(unknown.contains("`services` is no capability") && unknown.contains("reload"));
    }
}
