"""BOLT 11 by the book: bech32, the tagged fields and a recoverable signature, in the standard
library only. It writes invoices that no honest program writes, which is what the vectors need.
"""

import hashlib
import hmac

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)
CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
TAGS = {"p": 1, "s": 16, "d": 13, "h": 23, "x": 6, "c": 24, "n": 19, "9": 5, "m": 27}


def add(a, b):
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    if a == b:
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P) % P
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def multiply(scalar, point=G):
    result = None
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def public_key(secret):
    x, y = multiply(int.from_bytes(secret, "big"))
    return bytes([2 + y % 2]) + x.to_bytes(32, "big")


def nonce(secret, digest):
    """RFC 6979, first candidate."""
    key, value = b"\0" * 32, b"\1" * 32

    def mac(key, data):
        return hmac.new(key, data, hashlib.sha256).digest()

    for separator in (b"\0", b"\1"):
        key = mac(key, value + separator + secret + digest)
        value = mac(key, value)
    return int.from_bytes(mac(key, value), "big")


def sign(secret, digest):
    """65 bytes: r, s (the low one), and which of the four keys is meant."""
    k = nonce(secret, digest)
    x, y = multiply(k)
    r = x % N
    s = pow(k, -1, N) * (int.from_bytes(digest, "big") + r * int.from_bytes(secret, "big")) % N
    odd = y % 2
    if s > N // 2:
        s, odd = N - s, odd ^ 1
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([odd])


def groups(data):
    """Bytes as groups of five bits, the last one filled with zeros."""
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    return [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]


def number(value, length=None):
    out = []
    while value or len(out) < (length or 1):
        out.insert(0, value % 32)
        value //= 32
    return out


def checksum(hrp, data):
    values = [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp] + data + [0] * 6
    generator = [0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]
    sum_ = 1
    for value in values:
        top, sum_ = sum_ >> 25, (sum_ & 0x1FFFFFF) << 5 ^ value
        for bit in range(5):
            sum_ ^= generator[bit] if top >> bit & 1 else 0
    sum_ ^= 1
    return [sum_ >> 5 * (5 - at) & 31 for at in range(6)]


def bech32(hrp, data):
    return hrp + "1" + "".join(CHARSET[value] for value in data + checksum(hrp, data))


def tagged(tag, value):
    tag = TAGS[tag] if isinstance(tag, str) else tag
    return [tag] + number(len(value), 2) + value


def features(*bits):
    return number(sum(1 << bit for bit in bits))


class Invoice:
    """The fields of an invoice, any of which can be made wrong. A field that is `None` is left
    out; `more` holds whole tagged fields to write besides."""

    def __init__(self, payment_hash, amount="100n", currency="bcrt", secret=b"\3" * 32, **fields):
        self.payment_hash, self.amount, self.currency = payment_hash, amount, currency
        self.secret = secret
        self.created = fields.pop("created", 1_800_000_000)
        self.expiry = fields.pop("expiry", 3600)
        self.description = fields.pop("description", "a cup of weather")
        self.description_hash = fields.pop("description_hash", None)
        self.payment_secret = fields.pop("payment_secret", b"\x11" * 32)
        self.features = fields.pop("features", (8, 14))
        self.payee = fields.pop("payee", None)
        self.more = fields.pop("more", [])
        self.flip = fields.pop("flip_signature_bit", None)
        assert not fields, fields

    def hrp(self):
        return "ln" + self.currency + self.amount

    def data(self):
        out = number(self.created, 7)
        if self.payment_hash is not None:
            out += tagged("p", groups(self.payment_hash))
        if self.description is not None:
            out += tagged("d", groups(self.description.encode()))
        if self.description_hash is not None:
            out += tagged("h", groups(self.description_hash))
        if self.expiry is not None:
            out += tagged("x", number(self.expiry))
        if self.payment_secret is not None:
            out += tagged("s", groups(self.payment_secret))
        if self.payee is not None:
            out += tagged("n", groups(self.payee))
        if self.features is not None:
            out += tagged("9", features(*self.features))
        for field in self.more:
            out += field
        return out

    def text(self):
        hrp, data = self.hrp(), self.data()
        bits = "".join(f"{value:05b}" for value in data)
        bits += "0" * (-len(bits) % 8)
        packed = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
        signature = sign(self.secret, hashlib.sha256(hrp.encode() + packed).digest())
        if self.flip is not None:
            changed = bytearray(signature)
            changed[self.flip // 8] ^= 1 << self.flip % 8
            signature = bytes(changed)
        return bech32(hrp, data + groups(signature))
