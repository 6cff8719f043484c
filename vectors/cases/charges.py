"""Challenges of the `Payment` scheme with the method `lightning` and the intent `charge`: what a seller
asks (`offer` to `challenge`), what a buyer answers (`challenge` to `authorization`, or why not)."""

import base64
import hashlib
import hmac
import json

from .common import PREIMAGE, invoice

INVOICE = invoice()
KEY = bytes(range(32))
SHARED = {"key": KEY.hex(), "preimage": PREIMAGE.hex()}
HASH = hashlib.sha256(PREIMAGE).hexdigest()


def text(value):
    """JSON in its one spelling, in base64url."""
    spelt = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(spelt.encode()).decode().rstrip("=")


def request(**changes):
    details = {"invoice": INVOICE, "network": "regtest", "paymentHash": HASH}
    details.update(changes.pop("details", {}))
    return {"amount": "10", "currency": "sat", "methodDetails": details, **changes}


def echo(**changes):
    made = {
        "realm": "api.example.com",
        "method": "lightning",
        "intent": "charge",
        "request": text(request()),
        "expires": "2027-01-15T08:15:00Z",
        "opaque": text({"service": "api", "route": "GET /x?y=1", "price_msat": "9500"}),
    }
    made.update(changes)
    slots = ["realm", "method", "intent", "request", "expires", "digest"]
    slots += ["header"] if "header" in made else []
    bound = "|".join(made.get(slot, "") for slot in slots + ["opaque"])
    mac = hmac.new(KEY, bound.encode(), "sha256").digest()
    return {"id": base64.urlsafe_b64encode(mac).decode().rstrip("="), **made}


def line(made):
    order = ["id", "realm", "method", "intent", "request", "expires", "opaque", "header"]
    return "Payment " + ", ".join(f'{name}="{made[name]}"' for name in order if name in made)


def offer(name, why, field=None, **changes):
    made = echo(**({"header": field} if field else {}), **changes)
    asked = {
        "realm": made["realm"],
        "service": "api",
        "route": "GET /x?y=1",
        "field": field or "Authorization",
        "price_msat": 9500,
        "invoice": INVOICE,
        "expires": 1_800_000_900,
    }
    return {"name": name, "why": why, "input": asked, "expected": {"challenge": line(made)}}


def answer(name, why, made):
    credential = {"challenge": made, "payload": {"preimage": PREIMAGE.hex()}}
    expected = {"authorization": "Payment " + text(credential)}
    return {"name": name, "why": why, "input": {"challenge": line(made)}, "expected": expected}


def refused(name, why, made, word):
    made = {key: value for key, value in made.items() if value is not None}
    return {"name": name, "why": why, "input": {"challenge": line(made)}, "expected": {"refused": word}}


def cases():
    other = "00" * 32
    return [
        offer("an offer", "All that it is bound to is under the id."),
        offer("a host with a port", "A realm is the host as it was asked.", realm="h:8402"),
        offer("the other header", "It is bound before `opaque`.", field="Payment-Authorization"),
        answer("an answer", "The challenge goes back as it came.", echo()),
        answer("without `opaque`", "What is not there is not echoed.", line_without("opaque")),
        answer("without `paymentHash`", "It is a convenience.", echo(request=text(bare()))),
        refused("another method", "It is none of ours.", echo(method="tempo"), "not-ours"),
        refused("another intent", "It is none of ours.", echo(intent="session"), "not-ours"),
        refused("no id", "It cannot be echoed.", echo() | {"id": None}, "missing"),
        refused("an empty id", "It cannot be echoed.", echo() | {"id": ""}, "missing"),
        refused("no request", "There is nothing to pay.", echo() | {"request": None}, "missing"),
        refused("a request with padding", "It has none.", echo(request=text(request()) + "="), "not-ours"),
        refused("another amount", "The invoice is what is paid.", echo(request=text(request(amount="9"))), "contradicts"),
        refused("another currency", "We pay in bitcoin.", echo(request=text(request(currency="usd"))), "contradicts"),
        refused(
            "another payment hash",
            "It would pay for something else.",
            echo(request=text(request(details={"paymentHash": other}))),
            "contradicts",
        ),
        refused(
            "no invoice", "There is nothing to pay.", echo(request=text(request(details={"invoice": ""}))), "invoice"
        ),
        refused("a time that is none", "It may be over.", echo(expires="soon"), "not-ours"),
    ]


def bare():
    made = request()
    del made["methodDetails"]["paymentHash"], made["methodDetails"]["network"]
    return made


def line_without(name):
    made = echo(**{name: ""})
    return {key: value for key, value in made.items() if key != name}
