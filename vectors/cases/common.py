"""Values that several files use, and the shape of a case."""

import json

from reference.bolt11 import Invoice
from reference.macaroon import MasterKey, sha256

MASTER = MasterKey(b"\x07" * 32)
OLD_MASTER = MasterKey(b"\x06" * 32)
FOREIGN_MASTER = MasterKey(b"\x66" * 32)
PREIMAGE = b"\x42" * 32
HASH = sha256(PREIMAGE)
OTHER_PREIMAGE = b"\x43" * 32
OTHER_HASH = sha256(OTHER_PREIMAGE)
NOW = 1_800_000_000

# The server in `caveats.json` and `credentials.json`.
SERVER = {"master_key": MASTER.key.hex(), "previous_master_keys": [OLD_MASTER.key.hex()]}
FACTS = {
    "service": "weather",
    "capability": None,
    "method": "GET",
    "path": "/v1/berlin",
    "client_ip": "192.0.2.7",
    "now": NOW,
}


def token(caveats=("services=weather:0",), nonce=1, master=MASTER, payment_hash=HASH):
    return master.mint(payment_hash, bytes([nonce]) * 28, caveats)


def mixed_token():
    """A token whose base64 has padding and both letters that the two alphabets write differently."""
    for number in range(256):
        made = token([f"note={number}", "services=weather:0"])
        if "+" in made.base64() and "/" in made.base64() and made.base64().endswith("="):
            return made
    raise AssertionError("some token has all three")


def invoice(amount="100n", payment_hash=HASH, **fields):
    return Invoice(payment_hash, amount, **fields).text()


def long(*pieces):
    """Text too long to write out: pieces of text, each with how many times it comes."""
    return {"pieces": [{"text": text, "times": times} for text, times in pieces]}


def case(name, why, given, expected):
    return {"name": name, "why": why, "input": given, "expected": expected}


def accept(name, why, given, **expected):
    return case(name, why, given, {"accept": expected})


def reject(name, why, given, reason):
    return case(name, why, given, {"reject": reason})


def given(data):
    return {"hex": data.hex()}


def json_text(value):
    return {"text": value if isinstance(value, str) else json.dumps(value)}
