"""The bytes of a token's identifier: what it commits to, or why it is none."""

from reference.macaroon import identifier
from cases.common import HASH, accept, reject


def cases():
    whole = identifier(HASH, bytes(range(32)))
    return [
        accept(
            "version 0",
            "Two bytes of version, the payment hash, the token id.",
            {"hex": whole.hex()},
            payment_hash=HASH.hex(),
            token_id=bytes(range(32)).hex(),
        ),
        accept(
            "all zero",
            "Nothing in the identifier has to be random for a reader.",
            {"hex": "00" * 66},
            payment_hash="00" * 32,
            token_id="00" * 32,
        ),
        reject("empty", "An identifier is 66 bytes.", {"hex": ""}, "length"),
        reject("one byte short", "No padding.", {"hex": whole[:-1].hex()}, "length"),
        reject("one byte long", "Nothing is ignored.", {"hex": whole.hex() + "00"}, "length"),
        reject(
            "a bare hash", "Some servers have no more than the hash.", {"hex": HASH.hex()}, "length"
        ),
        reject(
            "version 1",
            "A later version may mean something else by the same bytes.",
            {"hex": "0001" + whole[2:].hex()},
            "version",
        ),
        reject(
            "version 256",
            "The version is big-endian: a reader that swaps it sees 1.",
            {"hex": "0100" + whole[2:].hex()},
            "version",
        ),
    ]
