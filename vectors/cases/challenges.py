"""Responses with status 402, read by a client: what can be paid, in order, and what is refused, by
scheme. Header names compare without case."""

import base64
import json

from cases.common import HASH, OTHER_HASH, case, invoice, long, mixed_token, token
from reference.macaroon import Macaroon

P = invoice()
M = token().base64()
STANDARD = mixed_token().base64()
BARE = STANDARD.rstrip("=")
URL_SAFE = STANDARD.replace("+", "-").replace("/", "_")


def offer(scheme="L402", text=M, bolt11=P, bound=True):
    return {"scheme": scheme, "token": text, "invoice": bolt11, "bound": bound}


def one(name, why, lines, offers, refused=()):
    lines = lines if isinstance(lines, list) else [lines]
    headers = [["www-authenticate", line] for line in lines]
    refused = [{"scheme": scheme, "why": why_not} for scheme, why_not in refused]
    return case(name, why, {"headers": headers}, {"offers": offers, "refused": refused})


def taken(name, why, lines, *offers):
    return one(name, why, lines, list(offers or [offer()]))


def refused(name, why, lines, *reasons):
    return one(name, why, lines, [], [("L402", reason) for reason in reasons])


def cases():
    return dialects() + lists() + tokens() + refusals() + broken()


def dialects():
    both = f'macaroon="{M}", invoice="{P}"'
    lsat = offer("LSAT")
    return [
        taken(
            "two lines",
            "LSAT for old clients, L402 for new ones.",
            [f"LSAT {both}", f"L402 {both}"],
            lsat,
            offer(),
        ),
        taken(
            "version and token",
            "The protocol text of 2026.",
            f'L402 version="0", token="{M}", invoice="{P}"',
        ),
        taken(
            "macaroon and token", "What is emitted here.", f'L402 {both}, version="0", token="{M}"'
        ),
        taken(
            "unquoted",
            "A Rust server writes it so; base64 is no token of RFC 9110.",
            f"L402 macaroon={M}, invoice={P}",
        ),
        taken("invoice first", "Order means nothing.", f'L402 invoice="{P}", macaroon="{M}"'),
        taken(
            "no space after the comma", "Space is optional.", f'L402 macaroon="{M}",invoice="{P}"'
        ),
        taken(
            "space around the equals sign",
            "RFC 9110 allows it.",
            f'L402 macaroon = "{M}" , invoice = "{P}"',
        ),
        taken(
            "lower case",
            "Schemes and names have no case.",
            f'lsat Macaroon="{M}", INVOICE="{P}"',
            lsat,
        ),
        taken("single quotes", "Some servers write them.", f"L402 macaroon='{M}', invoice='{P}'"),
        taken(
            "unknown parameters",
            "They are ignored.",
            f'L402 realm="a, b", {both}, address="x", expires=9',
        ),
        taken(
            "escapes in a string",
            "RFC 9110 quoted-pair.",
            f'L402 note="say \\"L402 token=x\\"", {both}',
        ),
        taken(
            "an invoice in capitals",
            "Bech32 in capitals is bech32.",
            f'L402 token="{M}", invoice="{P.upper()}"',
            offer(bolt11=P.upper()),
        ),
    ]


def lists():
    first, second = f'LSAT macaroon="{M}", invoice="{P}"', f'L402 token="{M}", invoice="{P}"'
    both = (offer("LSAT"), offer())
    return [
        taken(
            "one line, two challenges",
            "Some intermediaries join lines.",
            f"{first}, {second}",
            *both,
        ),
        taken("empty list elements", "RFC 9110 section 5.6.1.", f", {first} , , {second} ,", *both),
        taken("another scheme before", "It is passed over.", f'Basic realm="x", {second}'),
        taken(
            "another scheme with base64 before",
            "Its slash is no break.",
            f"Negotiate YII/+w==, {second}",
        ),
        taken(
            "another scheme after", "It is passed over.", f'{second}, Digest realm="x", nonce="y"'
        ),
        taken("a bare scheme before", "It has no parameters.", f"Negotiate, {second}"),
        taken(
            "other schemes on other lines",
            "They are passed over.",
            ["Bearer", 'Digest realm="x", nonce="y"', second],
        ),
        one("no challenge of ours", "Nothing can be paid.", 'Basic realm="x"', []),
        one("no challenge at all", "A 402 may say nothing.", [], []),
        one(
            "a challenge inside a string",
            "A string is a string.",
            f'Basic realm="x, {second.replace(chr(34), chr(39))}"',
            [],
        ),
        one(
            "a scheme that starts like ours",
            "A name is a whole word.",
            f'L402x token="{M}", invoice="{P}"',
            [],
        ),
    ]


def tokens():
    bare_hash = Macaroon(b"\x05" * 32, HASH).base64()
    prefixed = Macaroon(b"\x05" * 32, b"\xff" + HASH).base64()
    as_json = base64.b64encode(json.dumps({"paymentHash": HASH.hex(), "n": 1}).encode()).decode()
    other_id = Macaroon(b"\x05" * 32, b"something else").base64()
    second = token(["services=maps:0"], nonce=2).base64()

    def with_token(text):
        return f'L402 token="{text}", invoice="{P}"'

    def read(name, why, text, bound=True):
        return taken(name, why, with_token(text), offer(text=text, bound=bound))

    return [
        read("token without padding", "It is sent back as it came.", BARE),
        read("token in the URL-safe alphabet", "It is sent back as it came.", URL_SAFE),
        read("token with a bare hash", "Bound to its payment all the same.", bare_hash),
        read("token with a hash after ff", "Bound to its payment all the same.", prefixed),
        read("token in json", "Bound by its `paymentHash`.", as_json),
        read(
            "token with another identifier",
            "Only its server knows what it is for.",
            other_id,
            bound=False,
        ),
        read(
            "token that is no macaroon",
            "Only its server knows what it is for.",
            "opaque-~token.1",
            bound=False,
        ),
        read("two macaroons for one payment", "Joined by a comma.", f"{M},{second}"),
        taken(
            "one token in two alphabets",
            "Both parameters say the same.",
            f'L402 token="{BARE}", macaroon="{URL_SAFE}", invoice="{P}"',
            offer(text=BARE),
        ),
    ]


def refusals():
    other = token(nonce=2).base64()
    swapped = invoice(payment_hash=OTHER_HASH)
    torn = token(payment_hash=OTHER_HASH, nonce=3).base64()
    return [
        refused(
            "token and macaroon differ",
            "Which one is meant is anybody's guess.",
            f'L402 token="{M}", macaroon="{other}", invoice="{P}"',
            "ambiguous",
        ),
        refused(
            "one parameter twice",
            "Even with one value.",
            f'L402 token="{M}", token="{M}", invoice="{P}"',
            "duplicate",
        ),
        refused(
            "one parameter twice in two cases",
            "Names have no case.",
            f'L402 token="{M}", invoice="{P}", Invoice="{P}"',
            "duplicate",
        ),
        refused("no token", "Paying it would buy nothing.", f'L402 invoice="{P}"', "missing"),
        refused("no invoice", "There is nothing to pay.", f'L402 token="{M}"', "missing"),
        refused(
            "no parameters",
            "A bare word, as some servers answer a bad credential.",
            "L402",
            "missing",
        ),
        refused("empty token", "It cannot be sent back.", f'L402 token="", invoice="{P}"', "token"),
        refused(
            "token with a space",
            "It would end the credential.",
            f'L402 token="a b", invoice="{P}"',
            "token",
        ),
        refused(
            "token with a colon",
            "It would end the token.",
            f'L402 token="a:b", invoice="{P}"',
            "token",
        ),
        refused(
            "token with a quote",
            "It would end a string.",
            f'L402 token="a\\"b", invoice="{P}"',
            "token",
        ),
        refused(
            "token beyond ASCII",
            "It cannot stand in a header.",
            f'L402 token="caf\u00e9", invoice="{P}"',
            "token",
        ),
        refused(
            "token beyond all measure",
            "17,000 bytes.",
            long(('L402 token="', 1), ("a", 17000), (f'", invoice="{P}"', 1)),
            "token",
        ),
        refused(
            "invoice that is none",
            "Never paid by its prefix.",
            f'L402 token="{M}", invoice="lnbc100n1"',
            "invoice",
        ),
        refused(
            "invoice with no amount",
            "The payer would choose, or the node.",
            f'L402 token="{M}", invoice="{invoice("")}"',
            "invoice",
        ),
        refused(
            "invoice for somebody else",
            "The token is for another payment.",
            f'L402 token="{M}", invoice="{swapped}"',
            "swapped",
        ),
        refused(
            "macaroons for two payments",
            "One of them is not bought.",
            f'L402 token="{M},{torn}", invoice="{P}"',
            "torn",
        ),
        one(
            "a trap before a good offer",
            "The rest is read.",
            [f'L402 token="{M}", invoice="{swapped}"', f'L402 token="{M}", invoice="{P}"'],
            [offer()],
            [("L402", "swapped")],
        ),
    ]


def broken():
    good = f'L402 token="{M}", invoice="{P}"'
    return [
        one(
            "a string that never ends",
            "It ends its own line only.",
            [f'L402 token="{M}', good],
            [offer()],
            [("L402", "missing")],
        ),
        taken("a stray character", "It ends its own line only.", ["(", good]),
        taken(
            "what comes before a stray character counts",
            "So does the next line.",
            [f"{good}, (", good],
            offer(),
            offer(),
        ),
        taken("bytes that are no text", "They are a stray character.", ["\u00e9\u00e9", good]),
        taken(
            "a line of 33,000 bytes",
            "Good or not, it is passed over.",
            [long((f'{good}, note="', 1), ("x", 33000), ('"', 1)), good],
        ),
    ]
