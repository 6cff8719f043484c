"""Macaroons in every encoding that deployed programs write: what is in them, or why they are none."""

from cases import broken_macaroons as broken
from cases.common import HASH, accept, given, json_text, token
from reference.macaroon import Macaroon, ThirdParty, b64, field, identifier

ROOT = b"\x05" * 32
TEXT_ID = b"an identifier in text"


def expect(name, why, macaroon, bytes_=None, payment_hash=None, signed=True):
    """`bytes_` is the input where it is not the V2 encoding, which is how it is written back."""
    return accept(
        name,
        why,
        bytes_ if isinstance(bytes_, dict) else given(bytes_ or macaroon.v2()),
        location=macaroon.location,
        identifier=macaroon.identifier.hex(),
        caveats=macaroon.texts(),
        signature=macaroon.signature.hex(),
        root_key=macaroon.root.hex() if signed else None,
        payment_hash=payment_hash.hex() if payment_hash else None,
        v2=macaroon.base64(),
    )


def cases():
    return (
        v2_accepted()
        + v1_accepted()
        + json_accepted()
        + broken.v2_rejected()
        + broken.v1_rejected()
        + broken.json_rejected()
    )


def v2_accepted():
    plain = token()
    empty_location = Macaroon(ROOT, TEXT_ID, location="")
    third = Macaroon(ROOT, TEXT_ID, [ThirdParty(b"https://auth.test", b"cid", b"\x01\x02"), "a=b"])
    return [
        expect("v2", "What servers send today.", plain, payment_hash=HASH),
        expect("v2 without caveats", "The shortest token.", token([]), payment_hash=HASH),
        expect(
            "v2 with three caveats",
            "Order is kept.",
            token(["services=weather:0", "method=GET", "path_prefix=/v1"]),
            payment_hash=HASH,
        ),
        expect("v2 without a location", "The field is optional.", empty_location),
        expect(
            "v2 with an empty location",
            "One writer emits the field with nothing in it; it is written back without.",
            empty_location,
            b"\x02" + field(1, b"") + empty_location.v2()[1:],
        ),
        expect(
            "v2 with a two-byte length",
            "A caveat of 300 bytes.",
            token(["note=" + "x" * 295]),
            payment_hash=HASH,
        ),
        expect(
            "v2 with a length in more bytes than needed",
            "Readers of varints take it; it is written back short.",
            empty_location,
            b"\x02\x02" + bytes([len(TEXT_ID) | 0x80, 0]) + empty_location.v2()[3:],
        ),
        expect(
            "v2 with an empty caveat",
            "It restricts nothing and is signed.",
            token([""]),
            payment_hash=HASH,
        ),
        expect(
            "v2 with a caveat that is not text",
            "It is signed, and it cannot be understood.",
            token([b"\xff\xfe=1"]),
            payment_hash=HASH,
        ),
        expect(
            "v2 with a third party's caveat",
            "It reads, and no signature over it is ever accepted: nobody discharges it.",
            third,
            signed=False,
        ),
        expect(
            "v2 with 128 caveats", "The most that is read.", token(["a=b"] * 128), payment_hash=HASH
        ),
        expect(
            "v2 with a bare hash",
            "Some servers' identifier.",
            Macaroon(ROOT, HASH),
            payment_hash=HASH,
        ),
        expect(
            "v2 with a hash after ff",
            "Some servers' identifier.",
            Macaroon(ROOT, b"\xff" + HASH),
            payment_hash=HASH,
        ),
        expect(
            "v2 with a hash after another byte",
            "33 bytes mean a hash only after ff.",
            Macaroon(ROOT, b"\xfe" + HASH),
        ),
        expect(
            "v2 with an identifier of version 1",
            "What it commits to is not known.",
            Macaroon(ROOT, identifier(HASH, b"\0" * 32, version=1)),
        ),
        expect(
            "v2 with an empty identifier", "It is a macaroon, if an odd one.", Macaroon(ROOT, b"")
        ),
    ]


def v1_accepted():
    third = Macaroon(ROOT, TEXT_ID, [ThirdParty(b"https://auth.test", b"cid", b"\x01\x02"), "a=b"])
    two = token(["services=weather:0", "method=GET"])
    long = token(["note=" + "x" * 1000])
    return [
        expect("v1", "The older binary form, in packets.", two, two.v1(), payment_hash=HASH),
        expect(
            "v1 with a long packet", "Lengths are hexadecimal.", long, long.v1(), payment_hash=HASH
        ),
        expect("v1 with a third party's caveat", "cid, vid, cl.", third, third.v1(), signed=False),
    ]


def json_accepted():
    text = Macaroon(ROOT, TEXT_ID, ["services=weather:0", "method=GET"])
    third = Macaroon(ROOT, TEXT_ID, [ThirdParty(b"https://auth.test", b"cid", b"\x01\x02")])
    full = token(["services=weather:0"])
    padded = {
        "v": 2,
        "i64": b64(full.identifier),
        "l": "lsat",
        "c": [{"i64": b64(b"services=weather:0")}],
        "s64": b64(full.signature),
        "unknown": [1, {"a": None}],
    }
    return [
        expect(
            "json v1",
            "`caveats`, `identifier`, `signature` in hex.",
            text,
            json_text(text.json_v1()),
        ),
        expect(
            "json v1 with a third party's caveat",
            "cid, vid, cl.",
            third,
            json_text(third.json_v1()),
            signed=False,
        ),
        expect(
            "json v2",
            "Base64 is URL-safe and bare.",
            full,
            json_text(full.json_v2()),
            payment_hash=HASH,
        ),
        expect(
            "json v2 with padding and strangers",
            "The standard alphabet with padding, another order, and fields nobody knows.",
            full,
            json_text(padded),
            payment_hash=HASH,
        ),
        expect(
            "json with space and escapes",
            "JSON is JSON.",
            Macaroon(ROOT, TEXT_ID),
            json_text(
                '{ "identifier":"an\\u0020identifier in text" ,\n"location" :"lsat", "signature": "'
                + Macaroon(ROOT, TEXT_ID).signature.hex()
                + '"}'
            ),
        ),
    ]
