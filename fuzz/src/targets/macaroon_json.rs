//! A macaroon in JSON. The same laws; its own target, so that the fuzzer learns JSON.

use super::macaroon;

pub fn run(data: &[u8]) {
    if data.first() == Some(&b'{') {
        macaroon::run(data);
    } else {
        macaroon::run(&[b"{", data].concat());
    }
}
