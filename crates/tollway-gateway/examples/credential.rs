//! For `bench/load.sh`: mints a token under a gateway's key, with a preimage that this program knows
//! because it chose it, and prints the `Authorization` value. What a gateway checks is the same as
//! for one that was paid for.
//!
//! ```text
//! credential KEYFILE CAVEAT...        credential gateway.key services=api:0
//! ```

use std::path::Path;

use l402::{Keyring, PaymentHash, Preimage};
use tollway_gateway::master_key_file;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let key = args.next().ok_or("usage: credential KEYFILE CAVEAT...")?;
    let keyring = Keyring::new(master_key_file(Path::new(&key))?, vec![]);
    let mut random = [[0; 32]; 2];
    getrandom::fill(random.as_flattened_mut())?;
    let preimage = Preimage::new(random[0]);
    let hash: PaymentHash = preimage.hash();
    let nonce = std::array::from_fn(|index| random[1][index]);
    let token = keyring.mint(hash, nonce, args);
    println!("L402 {}:{}", token.to_base64(), preimage.expose_hex());
    Ok(())
}
