//! `/llms.txt`: the same for a language model, in a few lines of Markdown (llmstxt.org).

use std::fmt::Write as _;

use super::{Offer, listed};

pub(super) fn write(host: &str, offers: &[Offer<'_>]) -> String {
    let mut text = format!(
        "# {host}\n\n\
         > An HTTP API that is paid by the request, in bitcoin over Lightning. There is no account and \
         no key: a request that is not paid for is answered `402 Payment Required` with an invoice.\n\n\
         ## How to pay\n\n\
         1. Send the request. On a 402, read the `WWW-Authenticate` lines, or the JSON body.\n\
         2. Check the amount of the invoice against what you may spend, and pay it. You learn the \
         payment's preimage.\n"
    );
    if offers.iter().any(Offer::tokens) {
        text.push_str(
            "3. Send the same request again with `Authorization: L402 <token>:<preimage>`. Keep both: \
             the token goes on opening the service for as long as its caveats say.\n",
        );
    }
    if offers.iter().any(|offer| offer.charge().is_some()) {
        text.push_str(
            "- Or, where a `Payment` challenge is offered: send the same request again with the \
             challenge and the preimage in a `Payment` credential. It is good for that one request; \
             send an `Idempotency-Key` to be able to repeat it.\n",
        );
    }
    text.push_str(
        "\nNever pay again because of an answer other than 402. A 503 means that nothing is owed: try \
         again later.\n\n## Prices\n\n",
    );
    for offer in offers {
        let methods: Vec<&str> = offer.methods.iter().map(http::Method::as_str).collect();
        let methods = if methods.is_empty() { "any".to_owned() } else { methods.join(", ") };
        let (path, price) = (listed(offer.path), offer.price_text());
        let name = offer.service.tariff.name();
        writeln!(text, "- `{path}` ({methods}): {price}; service `{name}`")
            .expect("text can be written to");
    }
    text.push_str("\n## Files\n\n- [OpenAPI](/openapi.json)\n- [Prices](/.well-known/l402.json)\n");
    text
}
