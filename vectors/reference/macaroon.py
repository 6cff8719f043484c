"""Macaroons by the book: the HMAC chain and the four encodings, in the standard library only.

Nothing here is shared with the Rust code that the vectors test.
"""

import base64
import hashlib
import hmac as _hmac
import json

LOCATION = "lsat"


def sha256(data):
    return hashlib.sha256(data).digest()


def hmac(key, data):
    return _hmac.new(key, data, hashlib.sha256).digest()


def b64(data):
    return base64.b64encode(data).decode()


def identifier(payment_hash, token_id, version=0):
    return version.to_bytes(2, "big") + payment_hash + token_id


class MasterKey:
    """Root keys derived from one key, so that a server stores none."""

    def __init__(self, key):
        self.key = key
        self.id = hmac(key, b"tollway master key id v1")[:4]

    def root(self, token_identifier):
        return hmac(self.key, b"tollway token root v1\0" + token_identifier)

    def mint(self, payment_hash, nonce, caveats=(), location=LOCATION):
        token_identifier = identifier(payment_hash, self.id + nonce)
        return Macaroon(self.root(token_identifier), token_identifier, caveats, location)


class ThirdParty:
    """A caveat that another service would have to discharge."""

    def __init__(self, location, cid, vid):
        self.location, self.cid, self.vid = location, cid, vid


class Macaroon:
    """`caveats` holds text, bytes, or `ThirdParty`."""

    def __init__(self, root, token_identifier, caveats=(), location=LOCATION):
        self.root, self.identifier, self.location = root, token_identifier, location
        self.caveats = []
        self.signature = hmac(hmac(b"macaroons-key-generator", root), token_identifier)
        for caveat in caveats:
            self.add(caveat)

    def add(self, caveat):
        if isinstance(caveat, ThirdParty):
            both = hmac(self.signature, caveat.vid) + hmac(self.signature, caveat.cid)
            self.signature = hmac(self.signature, both)
        else:
            caveat = caveat.encode() if isinstance(caveat, str) else caveat
            self.signature = hmac(self.signature, caveat)
        self.caveats.append(caveat)
        return self

    def v2(self):
        out = b"\x02" + (field(1, self.location.encode()) if self.location else b"")
        out += field(2, self.identifier) + b"\0"
        for caveat in self.caveats:
            if isinstance(caveat, ThirdParty):
                out += field(1, caveat.location) + field(2, caveat.cid) + field(4, caveat.vid)
            else:
                out += field(2, caveat)
            out += b"\0"
        return out + b"\0" + field(6, self.signature)

    def v1(self):
        out = packet("location", self.location.encode()) + packet("identifier", self.identifier)
        for caveat in self.caveats:
            if isinstance(caveat, ThirdParty):
                out += packet("cid", caveat.cid) + packet("vid", caveat.vid)
                out += packet("cl", caveat.location)
            else:
                out += packet("cid", caveat)
        return out + packet("signature", self.signature)

    def json_v1(self):
        caveats = [
            (
                {"cid": c.cid.decode(), "vid": b64(c.vid), "cl": c.location.decode()}
                if isinstance(c, ThirdParty)
                else {"cid": c.decode()}
            )
            for c in self.caveats
        ]
        return json.dumps(
            {
                "caveats": caveats,
                "location": self.location,
                "identifier": self.identifier.decode(),
                "signature": self.signature.hex(),
            }
        )

    def json_v2(self):
        def raw_url(data):
            return base64.urlsafe_b64encode(data).decode().rstrip("=")

        return json.dumps(
            {
                "v": 2,
                "l": self.location,
                "i64": raw_url(self.identifier),
                "c": [{"i": c.decode()} for c in self.caveats],
                "s64": raw_url(self.signature),
            }
        )

    def base64(self):
        return b64(self.v2())

    def texts(self):
        def text(caveat):
            try:
                return None if isinstance(caveat, ThirdParty) else caveat.decode()
            except UnicodeDecodeError:
                return None

        return [text(caveat) for caveat in self.caveats]


def varint(number):
    out = b""
    while number >= 0x80:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def field(kind, data):
    return bytes([kind]) + varint(len(data)) + data


def packet(key, value, length=None):
    length = 4 + len(key) + 1 + len(value) + 1 if length is None else length
    return f"{length:04x}".encode() + key.encode() + b" " + value + b"\n"
