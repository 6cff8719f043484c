//! LDK's key-value store over the node's file, for what is small and rare: the sweeper's state. Each
//! write is on the disk when it returns.

use std::io::{Error, ErrorKind};
use std::sync::Arc;

use lightning::util::persist::KVStoreSync;

use crate::store::Store;

/// The node's file, as LDK's sweeper sees it.
#[derive(Debug)]
pub(crate) struct Kv(pub(crate) Arc<Store>);

type LdkError = lightning::io::Error;

impl KVStoreSync for Kv {
    fn read(&self, space: &str, subspace: &str, key: &str) -> Result<Vec<u8>, LdkError> {
        match self.0.get([space, subspace, key]) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(Error::new(ErrorKind::NotFound, key.to_owned()).into()),
            Err(error) => Err(Error::other(error).into()),
        }
    }

    fn write(
        &self,
        space: &str,
        subspace: &str,
        key: &str,
        value: Vec<u8>,
    ) -> Result<(), LdkError> {
        self.0.put([space, subspace, key], &value).map_err(|e| Error::other(e).into())
    }

    fn remove(&self, space: &str, subspace: &str, key: &str, _lazy: bool) -> Result<(), LdkError> {
        self.0.remove([space, subspace, key]).map_err(|e| Error::other(e).into())
    }

    fn list(&self, space: &str, subspace: &str) -> Result<Vec<String>, LdkError> {
        self.0.list(space, subspace).map_err(|e| Error::other(e).into())
    }
}
