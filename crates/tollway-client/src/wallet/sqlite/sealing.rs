//! Sealing a wallet's file, opening it again, and giving it another key.

use rusqlite::{Connection, OptionalExtension, params};

use super::rows::Rows;
use super::{Failed, SqliteWallet};
use crate::wallet::WalletError;
use crate::wallet::seal::{FileKey, KeyError, KeySource, Vault, WalletKey};

/// The file's own key, wrapped; `None` when the wallet is not sealed.
pub(super) fn wrapped(database: &Connection) -> rusqlite::Result<Option<String>> {
    database.query_row("SELECT key FROM vault", [], |row| row.get(0)).optional()
}

impl SqliteWallet {
    /// Seals the wallet: tokens and preimages are encrypted from now on, for everybody who uses it,
    /// and what was in the file unencrypted is overwritten. A wallet that is sealed already gets this
    /// key in place of the one that it had.
    ///
    /// Other processes that have it open get [`WalletError::Resealed`] at their next write.
    ///
    /// # Errors
    /// [`WalletError::Key`], or the file cannot be written; it is as it was then.
    pub async fn seal(&self, source: &dyn KeySource) -> Result<(), WalletError> {
        let key = self.ask(source).await?;
        let worked = self.change(move |rows| {
            let file = match &rows.vault.0 {
                Some(file) => file.clone(),
                None => FileKey::random().map_err(WalletError::from)?,
            };
            let wrapped = key.wrap(&file).map_err(WalletError::from)?;
            let vault = Vault(Some(file));
            if rows.vault.0.is_none() {
                rewrite(rows, &vault)?;
            }
            rows.execute("INSERT OR REPLACE INTO vault (id, key) VALUES (1, ?1)", [wrapped])?;
            Ok(vault)
        });
        worked.await
    }

    /// Takes the encryption off again.
    ///
    /// # Errors
    /// The file cannot be written; it is as it was then.
    pub async fn unseal(&self) -> Result<(), WalletError> {
        let worked = self.change(|rows| {
            let vault = Vault(None);
            rewrite(rows, &vault)?;
            rows.execute("DELETE FROM vault", [])?;
            Ok(vault)
        });
        worked.await
    }

    /// Whether the wallet is sealed.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn is_sealed(&self) -> Result<bool, WalletError> {
        self.with("read", |rows| Ok(wrapped(rows)?.is_some())).await
    }

    async fn ask(&self, source: &dyn KeySource) -> Result<WalletKey, WalletError> {
        Ok(source.key().await?)
    }

    /// Opens the vault, where there is one.
    pub(super) async fn unlock(&self, source: Option<&dyn KeySource>) -> Result<(), WalletError> {
        let Some(wrapped) = self.with("read", |rows| Ok(wrapped(rows)?)).await? else {
            return Ok(());
        };
        let Some(source) = source else {
            return Err(WalletError::Sealed { path: self.path.clone() });
        };
        let key = self.ask(source).await?;
        // A passphrase takes its second.
        let unwrapping = tokio::task::spawn_blocking(move || key.unwrap(&wrapped));
        let file = unwrapping.await.expect("unwrapping does not panic")?;
        self.set_vault(Vault(Some(file)));
        Ok(())
    }
}

/// Writes every secret anew, as `vault` seals it.
fn rewrite(rows: &Rows<'_>, vault: &Vault) -> Result<(), Failed> {
    for column in ["token", "preimage", "query"] {
        let mut statement = rows
            .prepare(&format!("SELECT hash, {column} FROM payment WHERE {column} IS NOT NULL"))?;
        let read = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let all = read.collect::<rusqlite::Result<Vec<(String, String)>>>()?;
        let update = format!("UPDATE payment SET {column} = ?2 WHERE hash = ?1");
        for (hash, written) in all {
            let text = rows.open(&hash, column, written)?;
            let text = vault.seal(&place(&hash, column), text.expose())?;
            rows.execute(&update, params![hash, text])?;
        }
    }
    Ok(())
}

/// Where a secret stands, as it is sealed with it.
pub(super) fn place(hash: &str, column: &str) -> String {
    format!("{hash}/{column}")
}

impl From<KeyError> for Failed {
    fn from(error: KeyError) -> Self {
        Self::Wallet(error.into())
    }
}
