"""Requests with a credential, read and judged by the server whose master keys are given, for a
`GET` of `/v1/berlin` at the service `weather`. `accept` is the payment hash that was paid; `deny` is
why a readable credential opens nothing; `reject` is why it cannot be read; `null` is no credential.
"""

from cases.common import FACTS, FOREIGN_MASTER, HASH, MASTER, OLD_MASTER, OTHER_HASH
from cases.common import OTHER_PREIMAGE, PREIMAGE, SERVER, case, long, mixed_token, token
from reference.macaroon import Macaroon, ThirdParty, b64, identifier, packet

SHARED = {"server": SERVER, "facts": FACTS}

X = PREIMAGE.hex()
M = token().base64()
STANDARD = mixed_token().base64()
CARRIED = token(["services=weather:0", f"preimage={X}"])


def one(name, why, headers, expected):
    headers = headers if isinstance(headers, list) else [["authorization", headers]]
    return case(name, why, {"headers": [list(header) for header in headers]}, expected)


def opens(name, why, headers):
    return one(name, why, headers, {"accept": {"payment_hash": HASH.hex()}})


def denied(name, why, headers, reason):
    return one(name, why, headers, {"deny": reason})


def rejected(name, why, headers, reason):
    return one(name, why, headers, {"reject": reason})


def cases():
    return dialects() + several() + grpc() + unreadable() + worthless() + absent()


def dialects():
    bare, url_safe = STANDARD.rstrip("="), STANDARD.replace("+", "-").replace("/", "_")
    return [
        opens("L402", "The protocol's own form.", f"L402 {M}:{X}"),
        opens("LSAT", "The old name.", f"LSAT {M}:{X}"),
        opens("lower case", "Schemes have no case.", f"l402 {M}:{X}"),
        opens("mixed case and much space", "Nothing depends on either.", f"Lsat \t  {M}:{X}"),
        opens(
            "preimage in capitals",
            "Hexadecimal has no case.",
            f"L402 {M}:{'AB' * 32}".replace("AB" * 32, X.upper()),
        ),
        opens("without padding", "Either way of writing base64.", f"L402 {bare}:{X}"),
        opens("URL-safe alphabet", "Either alphabet.", f"L402 {url_safe}:{X}"),
        opens("URL-safe without padding", "Both at once.", f"L402 {url_safe.rstrip('=')}:{X}"),
        opens(
            "with the preimage in a caveat too",
            "One deployed client sends both.",
            f"L402 {CARRIED.base64()}:{X}",
        ),
        opens(
            "a token in packets",
            "The older encoding of a macaroon.",
            f"L402 {b64(token().v1())}:{X}",
        ),
        opens(
            "a token of an older key",
            "A rotated key still opens what it minted.",
            f"L402 {token(master=OLD_MASTER).base64()}:{X}",
        ),
        opens("without caveats", "Nothing restricts it.", f"L402 {token([]).base64()}:{X}"),
    ]


def several():
    maps = token(["services=maps:0"], nonce=2).base64()
    other = token(nonce=2).base64()
    line, second = f"L402 {M}:{X}", f"L402 {other}:{X}"
    return [
        opens("two macaroons", "One that opens is enough.", f"L402 {maps},{M}:{X}"),
        opens(
            "both names on two lines",
            "Old clients send both.",
            [("authorization", f"LSAT {M}:{X}"), ("authorization", line)],
        ),
        opens("both names on one line", "Some intermediaries join lines.", f"LSAT {M}:{X}, {line}"),
        opens(
            "another scheme after",
            "The last line does not win.",
            [("authorization", line), ("authorization", "Bearer x")],
        ),
        opens(
            "another scheme before",
            "Nor does the first.",
            [("authorization", "Bearer x"), ("authorization", line)],
        ),
        rejected(
            "two credentials",
            "Which one is meant is anybody's guess.",
            [("authorization", line), ("authorization", second)],
            "ambiguous",
        ),
        rejected(
            "two credentials on one line",
            "Which one is meant is anybody's guess.",
            f"{line}, {second}",
            "ambiguous",
        ),
        rejected(
            "one token with two preimages",
            "Which one is meant is anybody's guess.",
            f"{line}, L402 {M}:{OTHER_PREIMAGE.hex()}",
            "ambiguous",
        ),
        rejected(
            "nine macaroons",
            "More than any client has reason to send.",
            f"L402 {','.join([M] * 9)}:{X}",
            "too-many",
        ),
    ]


def grpc():
    carried, other = CARRIED.v2().hex(), token([f"preimage={X}"], nonce=2).v2().hex()
    node = token([], nonce=3).v2().hex()
    grpc_type = ("content-type", "application/grpc")
    return [
        opens(
            "metadata macaroon",
            "Hexadecimal, with the preimage in a caveat.",
            [("macaroon", carried)],
        ),
        opens(
            "gateway metadata",
            "The name behind a gRPC gateway.",
            [("Grpc-Metadata-Macaroon", carried)],
        ),
        opens(
            "metadata token",
            "The protocol text's own name, in gRPC.",
            [("token", carried), grpc_type],
        ),
        one(
            "a token header outside gRPC",
            "A common name that is not ours.",
            [("token", carried)],
            None,
        ),
        opens(
            "metadata beside a node's macaroon",
            "A node has macaroons of its own there.",
            [("macaroon", carried), ("grpc-metadata-macaroon", node)],
        ),
        rejected(
            "two credentials in metadata",
            "Which one is meant is anybody's guess.",
            [("macaroon", carried), ("grpc-metadata-macaroon", other)],
            "ambiguous",
        ),
        rejected(
            "metadata without a preimage", "It proves nothing.", [("macaroon", node)], "no-preimage"
        ),
        rejected(
            "metadata with a bad preimage",
            "It proves nothing.",
            [("macaroon", token(["preimage=42"]).v2().hex())],
            "preimage",
        ),
        rejected(
            "metadata in base64", "It is hexadecimal.", [("macaroon", CARRIED.base64())], "encoding"
        ),
    ]


def unreadable():
    return [
        rejected("no preimage", "A token alone opens nothing.", f"L402 {M}", "no-colon"),
        rejected("a short preimage", "64 digits.", f"L402 {M}:{X[2:]}", "preimage"),
        rejected("a long preimage", "64 digits.", f"L402 {M}:{X}00", "preimage"),
        rejected("a preimage that is no hex", "64 digits.", f"L402 {M}:{'xy' * 32}", "preimage"),
        rejected(
            "a second colon",
            "The protocol text says it makes a credential invalid.",
            f"L402 {M}:{X}:{X}",
            "preimage",
        ),
        rejected("a space before the colon", "Base64 has none.", f"L402 {M} :{X}", "encoding"),
        rejected("a space after the colon", "Hexadecimal has none.", f"L402 {M}: {X}", "preimage"),
        rejected(
            "both alphabets at once",
            "No program writes them together.",
            f"L402 A+_B:{X}",
            "encoding",
        ),
        rejected(
            "base64 of the wrong length",
            "One letter is left over.",
            f"L402 {M.rstrip('=')[:-1]}A!:{X}",
            "encoding",
        ),
        rejected("empty token", "No bytes are no macaroon.", f"L402 :{X}", "macaroon"),
        rejected(
            "an empty macaroon beside a good one", "Each must be one.", f"L402 {M},:{X}", "macaroon"
        ),
        rejected(
            "a token that is no macaroon",
            "The server minted macaroons.",
            f"L402 {b64(b'opaque')}:{X}",
            "macaroon",
        ),
        rejected(
            "a token that is cut",
            "The macaroon ends in the middle.",
            f"L402 {b64(token().v2()[:-3])}:{X}",
            "macaroon",
        ),
        rejected(
            "longer than any real one",
            "70,000 bytes.",
            long(("L402 ", 1), ("A", 70000), (f":{X}", 1)),
            "too-long",
        ),
        rejected(
            "commas and nothing else",
            "60,000 of them, to be refused at once.",
            long(("L402 ", 1), (",", 60000)),
            "no-colon",
        ),
    ]


def flipped(at):
    changed = bytearray(token().v2())
    changed[at] ^= 1
    return b64(bytes(changed))


def shortened():
    """A token with its last caveat cut off and everything else as it was."""
    two = token(["services=maps:0", "services=maps:0"])
    two.caveats.pop()
    return two.base64()


def disguised():
    """A token whose caveat is made out to be a third party's: nobody signed the field that says so,
    and a caveat that is not text might be skipped."""
    restricted = token(["services=maps:0"])
    restricted.caveats = [ThirdParty(b"https://auth.test", b"services=maps:0", b"\x01\x02")]
    return restricted.base64()


def worthless():
    no_root = Macaroon(b"\x05" * 32, identifier(HASH, MASTER.id + b"\x01" * 28)).base64()
    third = token([ThirdParty(b"https://auth.test", b"cid", b"\x01\x02")])
    foreign_packet = (
        packet("location", b"elsewhere") + token().v1()[len(packet("location", b"lsat")) :]
    )
    return [
        denied(
            "not paid",
            "The preimage opens another hash.",
            f"L402 {M}:{OTHER_PREIMAGE.hex()}",
            "preimage",
        ),
        denied(
            "paid for another token",
            "Each token has its own payment.",
            f"L402 {token(payment_hash=OTHER_HASH).base64()}:{X}",
            "preimage",
        ),
        denied(
            "hash in place of the preimage",
            "The hash is in the token for all to see.",
            f"L402 {M}:{HASH.hex()}",
            "preimage",
        ),
        denied(
            "another server's token",
            "Its key is not held here.",
            f"L402 {token(master=FOREIGN_MASTER).base64()}:{X}",
            "unknown-key",
        ),
        denied(
            "another server's signature",
            "The key's name is no proof.",
            f"L402 {no_root}:{X}",
            "signature",
        ),
        denied(
            "a changed caveat", "The signature is over it.", f"L402 {flipped(95)}:{X}", "signature"
        ),
        denied(
            "a changed signature",
            "Compared in constant time.",
            f"L402 {flipped(-1)}:{X}",
            "signature",
        ),
        denied(
            "a caveat cut off",
            "The chain can only be lengthened.",
            f"L402 {shortened()}:{X}",
            "signature",
        ),
        denied(
            "a changed token id",
            "The root key depends on it.",
            f"L402 {flipped(70)}:{X}",
            "signature",
        ),
        denied(
            "a caveat in disguise",
            "A field that nobody signed must not take a restriction away.",
            f"L402 {disguised()}:{X}",
            "signature",
        ),
        denied(
            "a third party's caveat",
            "Nobody discharges it.",
            f"L402 {third.base64()}:{X}",
            "signature",
        ),
        denied(
            "another service's token",
            "Real and paid, and not for this.",
            f"L402 {token(['services=maps:0']).base64()}:{X}",
            "caveat",
        ),
        denied(
            "another preimage in the caveat",
            "Both must open the hash.",
            f"L402 {token([f'preimage={OTHER_PREIMAGE.hex()}']).base64()}:{X}",
            "caveat",
        ),
        denied(
            "identifier of another kind",
            "Not one of this server's.",
            f"L402 {Macaroon(b'5' * 32, HASH).base64()}:{X}",
            "identifier",
        ),
        denied(
            "identifier of version 1",
            "Not one of this server's.",
            f"L402 {Macaroon(b'5' * 32, identifier(HASH, b'0' * 32, 1)).base64()}:{X}",
            "identifier",
        ),
        opens(
            "another location",
            "A hint that nobody checks, and that nothing signs.",
            f"L402 {b64(foreign_packet)}:{X}",
        ),
    ]


def absent():
    return [
        one("nothing", "No credential.", [], None),
        one("another scheme", "Not ours.", "Bearer x", None),
        one(
            "ours inside another scheme",
            "What follows Bearer is Bearer's.",
            f"Bearer L402 {M}:{X}",
            None,
        ),
        one("a scheme that starts like ours", "A name is a whole word.", f"L402x {M}:{X}", None),
        one("the scheme alone", "No credential.", "L402", None),
    ]
