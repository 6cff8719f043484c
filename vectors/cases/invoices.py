"""BOLT 11 invoices: what a buyer agrees to by paying, or why nobody should pay. Amounts are in
millisatoshi and times in seconds; `expiry` counts from `created`."""

from cases.common import HASH, accept, long, reject
from reference.bolt11 import Invoice, bech32, groups, public_key, tagged

KEY = b"\x03" * 32
BITCOIN = 100_000_000_000


def read(name, why, invoice, amount, network="regtest", text=None, description=None):
    return accept(
        name,
        why,
        {"text": text or invoice.text()},
        amount_msat=amount,
        network=network,
        payment_hash=HASH.hex(),
        payee=public_key(invoice.secret).hex(),
        description=description or invoice.description,
        created=invoice.created,
        expiry=3600 if invoice.expiry is None else invoice.expiry,
    )


def refused(name, why, invoice, reason="unreadable"):
    return reject(
        name, why, {"text": invoice if isinstance(invoice, str) else invoice.text()}, reason
    )


def cases():
    return amounts() + networks() + fields() + bad_amounts() + bad_fields() + bad_text()


def amounts():
    def one(name, why, written, msat):
        return read(name, why, Invoice(HASH, written, "bc"), msat, "mainnet")

    return [
        one("nano", "100 nanobitcoin are ten satoshi.", "100n", 10_000),
        one("micro", "One microbitcoin is a hundred satoshi.", "1u", 100_000),
        one("milli", "One millibitcoin is a hundred thousand satoshi.", "1m", 100_000_000),
        one("pico", "Ten picobitcoin are one millisatoshi.", "10p", 1),
        one("an odd millisatoshi", "Not a whole satoshi.", "12345670p", 1_234_567),
        one("whole bitcoin", "No multiplier is one bitcoin each, not no amount.", "2", 2 * BITCOIN),
        one(
            "whole bitcoin before a data part that starts with a digit's letter",
            "The last 1 divides.",
            "21",
            21 * BITCOIN,
        ),
        one("the most that fits", "18,446,744 bitcoin.", "18446744", 18_446_744 * BITCOIN),
    ]


def networks():
    def one(currency, network):
        return read(f"ln{currency}", f"{network}.", Invoice(HASH, "1u", currency), 100_000, network)

    return [
        one("bc", "mainnet"),
        one("tb", "testnet"),
        one("tbs", "signet"),
        one("bcrt", "regtest"),
    ]


def fields():
    capitals = Invoice(HASH)
    hashed = Invoice(HASH, description=None, description_hash=HASH)
    return [
        read(
            "capitals",
            "Bech32 may be written in capitals.",
            capitals,
            10_000,
            text=capitals.text().upper(),
        ),
        read("no expiry", "One hour.", Invoice(HASH, expiry=None), 10_000),
        read("a long expiry", "A year.", Invoice(HASH, expiry=31_536_000), 10_000),
        read(
            "made long ago", "Reading is not judging.", Invoice(HASH, created=1_500_000_000), 10_000
        ),
        read("a description's hash", "There is no description.", hashed, 10_000),
        read("an empty description", "It is there.", Invoice(HASH, description=""), 10_000),
        read(
            "a description beyond ASCII",
            "UTF-8.",
            Invoice(HASH, description="caf\u00e9 \u2615"),
            10_000,
        ),
        read(
            "a description that moves the cursor",
            "A control character reads as U+FFFD.",
            Invoice(HASH, description="\x1b[2Jpaid"),
            10_000,
            description="\ufffd[2Jpaid",
        ),
        read(
            "the payee's key",
            "It is the one that signed.",
            Invoice(HASH, payee=public_key(KEY)),
            10_000,
        ),
        read(
            "another key", "The payee is whoever signed.", Invoice(HASH, secret=b"\4" * 32), 10_000
        ),
        read(
            "an unknown field", "Skipped.", Invoice(HASH, more=[tagged(2, groups(b"new"))]), 10_000
        ),
        read(
            "an unknown odd feature",
            "Odd is optional.",
            Invoice(HASH, features=(8, 14, 99)),
            10_000,
        ),
        read(
            "a longer payment hash besides",
            "A field of the wrong length is skipped.",
            Invoice(HASH, more=[tagged("p", groups(b"\x05" * 33))]),
            10_000,
        ),
    ]


def bad_amounts():
    def one(name, why, written, reason):
        return refused(name, why, Invoice(HASH, written, "bc"), reason)

    return [
        one("no amount", "The payer would choose, or the payer's node.", "", "no-amount"),
        one("zero", "It asks for nothing.", "0", "bad-amount"),
        one("zero nano", "It asks for nothing.", "0n", "bad-amount"),
        one(
            "a tenth of a millisatoshi",
            "Nobody can pay it; rounded down it is free.",
            "1p",
            "unreadable",
        ),
        one("eleven pico", "A fraction of a millisatoshi.", "11p", "unreadable"),
        one("more than fits, in milli", "It must not wrap.", "18446744073709551615m", "unreadable"),
        one("more than fits at all", "It must not wrap.", "18446744073709551616p", "unreadable"),
        one(
            "more bitcoin than fit",
            "2^64 picobitcoin wrap to next to nothing.",
            "18446745",
            "no-amount",
        ),
        one("an unknown multiplier", "There is no kilobitcoin.", "1k", "unreadable"),
        one("a sign", "Amounts are not negative.", "-1u", "unreadable"),
    ]


def bad_fields():
    return [
        refused(
            "another network", "Simnet is nobody's.", Invoice(HASH, "1u", "sb"), "unknown-network"
        ),
        refused(
            "a network nobody knows",
            "Never guessed from the first letters.",
            Invoice(HASH, "1u", "bx"),
        ),
        refused("no payment hash", "Nothing would be bought.", Invoice(None)),
        refused(
            "two payment hashes",
            "Which one is paid is anybody's guess.",
            Invoice(HASH, more=[tagged("p", groups(b"\x05" * 32))]),
        ),
        refused(
            "no payment secret",
            "Anybody on the way could answer.",
            Invoice(HASH, payment_secret=None),
        ),
        refused(
            "no description and no hash of one",
            "One of them is required.",
            Invoice(HASH, description=None),
        ),
        refused(
            "a description and a hash",
            "One of them is required, not both.",
            Invoice(HASH, description_hash=HASH),
        ),
        refused("no features", "A payment secret is a feature.", Invoice(HASH, features=None)),
        refused(
            "an unknown even feature",
            "Even is required, and nobody knows it.",
            Invoice(HASH, features=(8, 14, 98)),
        ),
        refused(
            "another key than the payee's",
            "Somebody changed it.",
            Invoice(HASH, payee=public_key(b"\4" * 32)),
        ),
        refused(
            "a changed signature",
            "It is not the payee's.",
            Invoice(HASH, payee=public_key(KEY), flip_signature_bit=100),
        ),
        refused(
            "an expiry with a leading zero",
            "Readers that spell it anew find another signer.",
            Invoice(HASH, expiry=None, more=[tagged("x", [0, 3, 16, 16])]),
        ),
        refused(
            "an expiry of zero",
            "Its shortest form is empty; nobody can pay it in time.",
            Invoice(HASH, expiry=0),
        ),
        refused(
            "a key that does not exist",
            "The recovery id is out of range.",
            Invoice(HASH, flip_signature_bit=64 * 8 + 3),
        ),
    ]


def bad_text():
    good = Invoice(HASH).text()
    other_amount = "lnbcrt200n" + good[len("lnbcrt100n") :]
    return [
        refused("empty", "Nothing there.", ""),
        refused("the prefix alone", "The amount is not believed.", "lnbcrt100n1"),
        refused(
            "a changed letter",
            "The checksum tells.",
            good[:60] + ("q" if good[60] != "q" else "p") + good[61:],
        ),
        refused("a changed amount", "The checksum tells.", other_amount),
        refused("cut off", "The checksum tells.", good[:-1]),
        refused("one letter more", "The checksum tells.", good + "q"),
        refused("both cases", "Bech32 has one.", good.replace("q", "Q", 1)),
        refused("space around it", "It is not trimmed in silence.", f" {good}"),
        refused("a URI", "The scheme is not part of an invoice.", f"lightning:{good}"),
        refused("another kind of bech32", "An address.", bech32("bcrt", [0] + groups(HASH))),
        refused("no data", "A checksum and nothing else.", bech32("lnbcrt100n", [])),
        reject(
            "longer than any real one", "9,000 letters.", long((good, 1), ("q", 9000)), "too-long"
        ),
    ]
