"""Root keys derived from a master key: its name, the root key of one token, and the token."""

from cases.common import HASH, MASTER, OLD_MASTER, OTHER_HASH, case
from reference.macaroon import MasterKey


def one(name, why, master, payment_hash, nonce, caveats):
    token = master.mint(payment_hash, nonce, caveats)
    given = {
        "master_key": master.key.hex(),
        "payment_hash": payment_hash.hex(),
        "nonce": nonce.hex(),
        "caveats": caveats,
    }
    expected = {
        "key_id": master.id.hex(),
        "identifier": token.identifier.hex(),
        "root_key": token.root.hex(),
        "token": token.base64(),
    }
    return case(name, why, given, {"accept": expected})


def cases():
    nonce = bytes(range(28))
    return [
        one("no caveats", "The shortest token.", MASTER, HASH, nonce, []),
        one(
            "two caveats",
            "Caveats come after the root key and do not change it.",
            MASTER,
            HASH,
            nonce,
            ["services=weather:0", f"weather_valid_until={1_800_003_600}"],
        ),
        one(
            "another master key",
            "Key id, root key and token all differ.",
            OLD_MASTER,
            HASH,
            nonce,
            [],
        ),
        one(
            "another payment",
            "The root key depends on the whole identifier.",
            MASTER,
            OTHER_HASH,
            nonce,
            [],
        ),
        one(
            "another nonce",
            "Two tokens for one payment are two tokens.",
            MASTER,
            HASH,
            b"\xff" * 28,
            [],
        ),
        one(
            "a key of zeros",
            "A key is 32 bytes, whatever they are.",
            MasterKey(b"\0" * 32),
            HASH,
            nonce,
            [],
        ),
    ]
