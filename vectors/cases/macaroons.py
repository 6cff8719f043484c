"""Macaroons in every encoding that deployed programs write: what is in them, or why they are none."""

import base64
import json

from cases.common import HASH, accept, reject, token
from reference.macaroon import Macaroon, ThirdParty, b64, field, identifier, packet

ROOT = b"\x05" * 32
TEXT_ID = b"an identifier in text"


def given(data):
    return {"hex": data.hex()}


def json_text(value):
    return {"text": value if isinstance(value, str) else json.dumps(value)}


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
        + v2_rejected()
        + v1_rejected()
        + json_rejected()
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


def v2_rejected():
    whole = token().v2()
    signature = field(6, b"\x11" * 32)
    head = b"\x02" + field(2, b"a") + b"\0"
    huge = head + b"\0" + signature
    return [
        reject("empty", "There is no format byte.", given(b""), "unknown-format"),
        reject(
            "version 1 byte",
            "No encoding starts with it.",
            given(b"\x01" + whole[1:]),
            "unknown-format",
        ),
        reject("version 3 byte", "A later format.", given(b"\x03" + whole[1:]), "unknown-format"),
        reject(
            "text", "Base64 that was not decoded.", {"text": token().base64()}, "unknown-format"
        ),
        reject("v2 with nothing after the version", "Cut off.", given(b"\x02"), "truncated"),
        reject("v2 cut in a length", "Cut off.", given(whole[:2]), "truncated"),
        reject("v2 cut in the identifier", "Cut off.", given(whole[:20]), "truncated"),
        reject("v2 cut before the signature", "Cut off.", given(whole[:-34]), "truncated"),
        reject("v2 cut in the signature", "Cut off.", given(whole[:-1]), "truncated"),
        reject(
            "v2 with bytes after the signature",
            "Two readers would see two tokens.",
            given(whole + b"\0"),
            "trailing-bytes",
        ),
        reject(
            "v2 twice",
            "Several macaroons are joined by commas, in base64.",
            given(whole + whole),
            "trailing-bytes",
        ),
        reject(
            "v2 with a signature of 31 bytes",
            "HMAC-SHA256 has 32.",
            given(head + b"\0" + field(6, b"\x11" * 31)),
            "bad-signature-length",
        ),
        reject(
            "v2 with a signature of 33 bytes",
            "HMAC-SHA256 has 32.",
            given(head + b"\0" + field(6, b"\x11" * 33)),
            "bad-signature-length",
        ),
        reject(
            "v2 without an identifier",
            "It is required.",
            given(b"\x02\0\0" + signature),
            "unexpected-field",
        ),
        reject(
            "v2 with two locations",
            "The second stands where the identifier must.",
            given(b"\x02" + field(1, b"a") * 2 + field(2, b"a") + b"\0\0" + signature),
            "unexpected-field",
        ),
        reject(
            "v2 with a verification id before its caveat",
            "Fields have an order.",
            given(head + field(4, b"v") + field(2, b"c") + b"\0\0" + signature),
            "unexpected-field",
        ),
        reject(
            "v2 with two caveats in one section",
            "An end is missing between them.",
            given(head + field(2, b"a") + field(2, b"b") + b"\0\0" + signature),
            "unexpected-field",
        ),
        reject(
            "v2 without the end of the caveats",
            "The signature stands where a caveat may.",
            given(head + signature),
            "unexpected-field",
        ),
        reject(
            "v2 with a length beyond the end",
            "Nothing is read past the end.",
            given(b"\x02\x02\x7fabc"),
            "truncated",
        ),
        reject(
            "v2 with a length beyond all macaroons",
            "Nothing is allocated for it.",
            given(b"\x02\x02\xff\xff\x7fabc"),
            "too-large",
        ),
        reject(
            "v2 with a length that never ends",
            "Nor does it overflow.",
            given(b"\x02\x02" + b"\xff" * 9 + b"\x01abc"),
            "truncated",
        ),
        reject(
            "v2 with 129 caveats",
            "One more than is read.",
            given(token(["a=b"] * 129).v2()),
            "too-large",
        ),
        reject(
            "v2 of more than 16 KiB",
            "Longer than any real one; nothing in it is looked at.",
            {"pieces": [{"hex": huge.hex()}, {"hex": "00", "times": 16384 + 1 - len(huge)}]},
            "too-large",
        ),
    ]


def v1_rejected():
    location, name = packet("location", b"lsat"), packet("identifier", b"a")
    signature, head = packet("signature", b"\x11" * 32), location + name
    return [
        reject("v1 cut in a length", "Cut off.", given(head + b"00"), "truncated"),
        reject("v1 without a signature", "Cut off.", given(head), "truncated"),
        reject(
            "v1 with a length that is too short",
            "Shorter than the length itself.",
            given(b"0003" + location[4:]),
            "truncated",
        ),
        reject(
            "v1 with a length beyond the end",
            "Nothing is read past the end.",
            given(b"0fff" + location[4:]),
            "truncated",
        ),
        reject(
            "v1 with a signed length",
            "`+01` is no number of four digits.",
            given(head + b"+" + packet("cid", b"a=b")[1:] + signature),
            "truncated",
        ),
        reject(
            "v1 without a newline",
            "Each packet ends with one.",
            given(head[:-1] + b"." + signature),
            "truncated",
        ),
        reject(
            "v1 without a space",
            "Key and value are told apart by it.",
            given(head + b"0008cid\n" + signature),
            "truncated",
        ),
        reject(
            "v1 with the identifier first",
            "Packets have an order.",
            given(name + location + signature),
            "unexpected-field",
        ),
        reject(
            "v1 with a verification id and no caveat",
            "It belongs to the caveat before it.",
            given(head + packet("vid", b"v") + signature),
            "unexpected-field",
        ),
        reject(
            "v1 with two verification ids",
            "Which one is meant is anybody's guess.",
            given(head + packet("cid", b"c") + packet("vid", b"v") * 2 + signature),
            "unexpected-field",
        ),
        reject(
            "v1 with an unknown packet",
            "It is signed by nobody.",
            given(head + packet("note", b"x") + signature),
            "unexpected-field",
        ),
        reject(
            "v1 with a signature of 31 bytes",
            "HMAC-SHA256 has 32.",
            given(head + packet("signature", b"\x11" * 31)),
            "bad-signature-length",
        ),
        reject(
            "v1 with bytes after the signature",
            "Two readers would see two tokens.",
            given(head + signature + signature),
            "trailing-bytes",
        ),
        reject(
            "v1 with 129 caveats",
            "One more than is read.",
            given(head + packet("cid", b"a=b") * 129 + signature),
            "too-large",
        ),
    ]


def json_rejected():
    signature = "11" * 32
    s64 = base64.b64encode(b"\x11" * 32).decode()
    return [
        reject("json that is cut off", "No JSON.", json_text('{"identifier":"a"'), "bad-json"),
        reject("json of another kind", "No macaroon.", json_text({"token": "a"}), "bad-json"),
        reject(
            "json without an identifier",
            "It is required.",
            json_text({"signature": signature}),
            "bad-json",
        ),
        reject(
            "json with two spellings of the identifier",
            "Two readers would see two tokens.",
            json_text({"identifier": "a", "i": "b", "signature": signature}),
            "bad-json",
        ),
        reject(
            "json with one field twice",
            "Two readers would see two tokens.",
            json_text('{"i":"a","i":"b","s64":"' + s64 + '"}'),
            "bad-json",
        ),
        reject(
            "json with two signatures",
            "Two readers would see two tokens.",
            json_text({"i": "a", "signature": signature, "s64": s64}),
            "bad-json",
        ),
        reject("json with no signature", "It is required.", json_text({"i": "a"}), "bad-json"),
        reject(
            "json with a number for a text",
            "No guessing.",
            json_text({"i": 1, "s64": s64}),
            "bad-json",
        ),
        reject(
            "json with bad base64",
            "No guessing.",
            json_text({"i64": "a*b", "s64": s64}),
            "bad-json",
        ),
        reject(
            "json with a short signature",
            "HMAC-SHA256 has 32 bytes.",
            json_text({"i": "a", "signature": "11" * 31}),
            "bad-signature-length",
        ),
        reject(
            "json with a signature that is no hex",
            "V1 signatures are hexadecimal.",
            json_text({"i": "a", "signature": "xy" * 32}),
            "bad-signature-length",
        ),
        reject(
            "json with a deep nest",
            "It must not exhaust the stack.",
            {"pieces": [{"text": '{"i":"a","x":'}, {"text": "[", "times": 9000}]},
            "bad-json",
        ),
        reject(
            "json with bytes after it",
            "Two readers would see two tokens.",
            json_text('{"i":"a","s64":"' + s64 + '"}{}'),
            "bad-json",
        ),
        reject(
            "json with 129 caveats",
            "One more than is read.",
            json_text({"i": "a", "s64": s64, "c": [{"i": "a=b"}] * 129}),
            "too-large",
        ),
        reject("a json list", "Discharge lists are not read.", json_text([]), "unknown-format"),
    ]
