//! One string that says which store: `memory:`, `sqlite:/path`, `postgres://…`, `redis://…`. The part
//! before the colon chooses; what follows is read in the store's own file.

use std::fmt;

use l402::Secret;

use super::{SharedStore, StoreError, memory, postgres, redis, sqlite};

/// One kind of store. Adding one means one file, and one line in [`STORES`].
#[async_trait::async_trait]
pub trait Driver: fmt::Debug + Send + Sync {
    /// What its URLs begin with, before the colon.
    fn schemes(&self) -> &'static [&'static str];

    /// Looks at a URL without opening anything.
    ///
    /// # Errors
    /// What is the matter with it, and the remedy. It must not repeat what could be a password.
    fn check(&self, url: &str) -> Result<(), String>;

    /// Opens the store, and brings what it keeps to this version's form.
    async fn open(&self, url: &str) -> Result<SharedStore, StoreError>;
}

/// Every kind of store.
pub static STORES: &[&dyn Driver] =
    &[&memory::MemoryDriver, &sqlite::SqliteDriver, &postgres::PostgresDriver, &redis::RedisDriver];

/// Where a store is, checked as far as it can be without opening it. It may hold a password, and
/// prints as its scheme only.
#[derive(Clone)]
pub struct StoreUrl {
    driver: &'static dyn Driver,
    text: Secret<String>,
}

impl StoreUrl {
    /// Reads the URL of a store.
    ///
    /// # Errors
    /// [`StoreError::Url`].
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let refused = |problem| StoreError::Url { problem };
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        let driver = STORES.iter().find(|driver| driver.schemes().contains(&scheme));
        let driver = *driver.ok_or_else(|| refused(unknown()))?;
        driver.check(text).map_err(refused)?;
        Ok(Self { driver, text: Secret::new(text.to_owned()) })
    }

    /// Opens the store.
    ///
    /// # Errors
    /// It is not there, cannot be used, or was written by a later version.
    pub async fn open(&self) -> Result<SharedStore, StoreError> {
        self.driver.open(self.text.expose()).await
    }

    fn scheme(&self) -> &str {
        self.text.expose().split_once(':').map_or("", |(scheme, _)| scheme)
    }
}

impl PartialEq for StoreUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text.expose() == other.text.expose()
    }
}

impl Eq for StoreUrl {}

fn unknown() -> String {
    let schemes: Vec<String> = STORES
        .iter()
        .flat_map(|driver| driver.schemes())
        .map(|scheme| format!("`{scheme}:`"))
        .collect();
    format!("begins with none of {}", schemes.join(", "))
}

/// In memory; nothing is kept when the process ends.
impl Default for StoreUrl {
    fn default() -> Self {
        Self { driver: &memory::MemoryDriver, text: Secret::new("memory:".to_owned()) }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:(not shown)", self.scheme())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_store_is_chosen_by_its_scheme() {
        for (url, shown) in [
            ("memory:", "memory:(not shown)"),
            ("sqlite:/var/lib/x.db", "sqlite:(not shown)"),
            ("postgres://u:hunter2@h/db", "postgres:(not shown)"),
            ("postgresql://h/db?sslmode=require", "postgresql:(not shown)"),
            ("redis://h:6379/1", "redis:(not shown)"),
            ("valkey://:hunter2@h", "valkey:(not shown)"),
            ("rediss://h", "rediss:(not shown)"),
        ] {
            assert_eq!(format!("{:?}", StoreUrl::parse(url).unwrap()), shown);
        }
    }

    #[test]
    fn what_is_no_store_is_refused_with_a_remedy_and_not_repeated() {
        for (url, part) in [
            ("", "begins with none of `memory:`"),
            ("mysql://u:hunter2@h", "begins with none of"),
            ("memory:hunter2", "nothing after"),
            ("sqlite:", "a path"),
            ("sqlite:/x?size=hunter2", "max_size"),
            ("sqlite:/x?max_size=hunter2", "max_size"),
            ("postgres://", "postgres://"),
            ("postgres://u:hunter2@h/db?sslmode=hunter2", "postgres://"),
            ("postgres://h/db?ca=hunter2", "ca=file:"),
            ("redis://h/hunter2", "redis://"),
        ] {
            let why = StoreUrl::parse(url).expect_err(url).to_string();
            assert!(why.contains(part) && !why.contains("hunter2"), "{url}: {why}");
        }
    }
}
