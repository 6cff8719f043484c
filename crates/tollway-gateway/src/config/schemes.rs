//! In which ways a service asks to be paid.

use l402::scheme::Field;

use super::raw::{Keys, Reader};
use crate::payment::Schemes;

pub(super) fn read(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Schemes {
    let field = reader.text(keys, "payment_header").map_or(Field::default(), |at| {
        match at.value.to_ascii_lowercase().as_str() {
            "authorization" => Field::Authorization,
            "payment-authorization" => Field::PaymentAuthorization,
            _ => {
                reader.bad(
                    "payment_header",
                    &at,
                    "write `Authorization` or `Payment-Authorization`",
                );
                Field::default()
            }
        }
    });
    let written = reader.texts(keys, "schemes");
    if written.is_empty() {
        return Schemes::default();
    }
    let mut schemes = Schemes { l402: false, charge: None };
    for at in &written {
        match at.value.as_str() {
            "l402" => schemes.l402 = true,
            "mpp" => schemes.charge = Some(field),
            _ => reader.bad("schemes", at, "write `l402`, `mpp`, or both in a list"),
        }
    }
    schemes
}
