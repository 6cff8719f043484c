"""What must not be read as a macaroon, by encoding; part of `macaroons.json`."""

import base64

from cases.common import given, json_text, reject, token
from reference.macaroon import field, packet


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
