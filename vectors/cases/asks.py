"""What a server sends with a 402 for a token and an invoice: the `WWW-Authenticate` lines, exactly
and in order. Deployed clients find the token by patterns that allow no other form."""

from cases.common import case, invoice, mixed_token, token


def one(name, why, macaroon):
    bolt11, base64 = invoice(), macaroon.base64()
    both = f'macaroon="{base64}", invoice="{bolt11}"'
    lines = [f"LSAT {both}", f'L402 {both}, version="0", token="{base64}"']
    return case(name, why, {"token": macaroon.v2().hex(), "invoice": bolt11}, {"lines": lines})


def cases():
    return [
        one("one caveat", "LSAT first, for clients that read one line only.", token()),
        one("no caveats", "Padding is written: some clients insist on it.", token([])),
        one(
            "both plus and slash",
            "The standard alphabet, never the URL-safe one: `+` and `/` stand in this token.",
            mixed_token(),
        ),
        one("many caveats", "Nothing is folded or split.", token([f"note={n}" for n in range(20)])),
    ]
