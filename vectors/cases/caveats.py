"""Paid tokens with caveats, and requests: allowed, with the counters that the token wants kept, or
denied, with the first caveat in the way. A counter's key is the SHA-256 of the signature chain after
its caveat. `unknown` says what to do with conditions nobody knows.
"""

from cases.common import FACTS, HASH, NOW, OTHER_PREIMAGE, PREIMAGE, SERVER, case, token
from reference.macaroon import sha256

SHARED = {"server": SERVER, "preimage": PREIMAGE.hex()}


def given(caveats, unknown="skip", **facts):
    assert set(facts) <= set(FACTS), facts
    minted = token(caveats)
    texts = [text if isinstance(text, str) else None for text in caveats]
    return {
        "token": minted.v2().hex(),
        "caveats": texts,
        "unknown": unknown,
        "facts": {**FACTS, **facts},
    }


def counters(caveats):
    out = []
    for at, caveat in enumerate(caveats):
        if isinstance(caveat, str) and caveat.startswith("request_count="):
            key = sha256(token(caveats[: at + 1]).signature).hex()
            out.append({"key": key, "limit": int(caveat.split("=")[1])})
    return out


def allowed(name, why, caveats, **given_):
    return case(name, why, given(caveats, **given_), {"accept": {"counters": counters(caveats)}})


def denied(name, why, caveats, reason, condition=None, **given_):
    condition = condition if condition is not None else caveats[-1].split("=")[0]
    return case(
        name, why, given(caveats, **given_), {"deny": {"reason": reason, "condition": condition}}
    )


def does_not_hold(condition, why, *values, **given_):
    return [
        denied(f"{condition}={value}", why, [f"{condition}={value}"], "does-not-hold", **given_)
        for value in values
    ]


def holds(condition, why, *values, **given_):
    return [
        allowed(f"{condition}={value}", why, [f"{condition}={value}"], **given_) for value in values
    ]


def cases():
    return (
        services()
        + capabilities()
        + times()
        + methods()
        + paths()
        + addresses()
        + counts()
        + preimages()
        + widening()
        + strangers()
    )


def services():
    return (
        holds(
            "services",
            "The service is in the list.",
            "weather:0",
            "maps:0,weather:1",
            "weather:255",
        )
        + does_not_hold(
            "services", "The service is not in the list.", "maps:0", "weather2:0", "Weather:0"
        )
        + does_not_hold(
            "services",
            "The list cannot be read.",
            "",
            "weather",
            "weather:",
            ":0",
            "weather:0,",
            "weather:256",
            "weather:+1",
            "weather:0,maps",
        )
        + [allowed("no caveats", "A token without caveats is for everything.", [])]
    )


def capabilities():
    read = {"capability": "read"}
    return (
        holds(
            "weather_capabilities", "The capability is in the list.", "read", "write,read", **read
        )
        + does_not_hold("weather_capabilities", "It is not.", "write", "reads", "", "read ", **read)
        + [
            allowed(
                "a route that needs no capability",
                "Any list will do.",
                ["weather_capabilities=write"],
            ),
            allowed(
                "another service's capabilities",
                "Not about this request.",
                ["maps_capabilities=write"],
                **read,
            ),
        ]
    )


def times():
    return (
        holds("weather_valid_until", "The clock is before it.", NOW + 1, "99999999999")
        + does_not_hold("weather_valid_until", "The clock has reached it.", NOW, NOW - 1, 0)
        + does_not_hold(
            "weather_valid_until",
            "The time cannot be read.",
            "",
            "soon",
            f"+{NOW + 1}",
            f" {NOW + 1}",
            f"{NOW + 1}.5",
            "99999999999999999999",
        )
        + [allowed("another service's expiry", "Not about this request.", ["maps_valid_until=1"])]
        + holds("not_before", "The clock has reached it.", NOW, NOW - 1, 0)
        + does_not_hold(
            "not_before", "The clock is before it, or it cannot be read.", NOW + 1, "", "-1", "0x1"
        )
    )


def methods():
    return holds("method", "The method is in the list.", "GET", "POST,GET") + does_not_hold(
        "method", "Methods have case.", "POST", "get", "", "GETS", "GET ,POST"
    )


def paths():
    prefix = ["path_prefix=/v1"]
    two_readings = [
        "/v1/../admin",
        "/v1//x",
        "/v1/%2e%2e/admin",
        "/v1/a%2Fb",
        "/v1/a\\b",
        "/v1/%00",
        "/v1/.",
    ]
    return (
        holds(
            "path_prefix", "The path is the prefix or below it.", "/", "/v1", "/v1/", "/v1/berlin"
        )
        + does_not_hold(
            "path_prefix", "Whole segments only.", "/v2", "/v1/ber", "/v1/berlin/", "", "v1"
        )
        + [
            denied(
                f"path {path}",
                "Two programs could read it differently.",
                prefix,
                "does-not-hold",
                path=path,
            )
            for path in two_readings
        ]
        + [
            allowed(
                "a path with a space", "Encoded, it has one reading.", prefix, path="/v1/new%20york"
            )
        ]
    )


def addresses():
    v6 = {"client_ip": "2001:db8::7"}
    return (
        holds(
            "client_ip",
            "In the network.",
            "192.0.2.7",
            "192.0.2.0/24",
            "::/0,192.0.2.7",
            "0.0.0.0/0",
        )
        + does_not_hold("client_ip", "Elsewhere.", "192.0.2.8", "192.0.3.0/24", "::/0")
        + does_not_hold(
            "client_ip",
            "One bad item spoils the list.",
            "",
            "192.0.2.7,x",
            "192.0.2.0/33",
            "192.0.2",
        )
        + holds("client_ip", "In the network.", "2001:db8::/32", "2001:db8:0::7", **v6)
        + [
            denied(
                "an IPv4 network and an IPv6 address",
                "Elsewhere.",
                ["client_ip=0.0.0.0/0"],
                "does-not-hold",
                **v6,
            ),
            allowed(
                "an IPv4 address in IPv6 clothes",
                "It is the IPv4 address.",
                ["client_ip=192.0.2.0/24"],
                client_ip="::ffff:192.0.2.7",
            ),
            denied(
                "an unknown address",
                "It is in no network.",
                ["client_ip=0.0.0.0/0,::/0"],
                "does-not-hold",
                client_ip=None,
            ),
        ]
    )


def counts():
    narrowed = ["request_count=10", "method=GET", "request_count=3"]
    return (
        holds(
            "request_count", "The counter is kept by whoever asks.", 1, 10, "18446744073709551615"
        )
        + does_not_hold(
            "request_count", "No request, or no number.", 0, "", "-1", "ten", "18446744073709551616"
        )
        + [
            allowed("a narrowed counter", "The first counter goes on counting.", narrowed),
            allowed(
                "the same counter again", "Both are kept.", ["request_count=5", "request_count=5"]
            ),
        ]
    )


def preimages():
    opens, other = PREIMAGE.hex(), OTHER_PREIMAGE.hex()
    return [
        allowed("preimage caveat", "It opens the payment hash.", [f"preimage={opens}"]),
        denied(
            "preimage of another payment", "It does not.", [f"preimage={other}"], "does-not-hold"
        ),
        denied("preimage cut short", "It cannot be read.", ["preimage=42"], "does-not-hold"),
        denied(
            "the payment hash in its place",
            "It is not the preimage.",
            [f"preimage={HASH.hex()}"],
            "does-not-hold",
        ),
    ]


PAIRS = [
    ("services=maps:0,weather:0", "services=weather:0"),
    ("weather_capabilities=read,write", "weather_capabilities=read"),
    (f"weather_valid_until={NOW + 100}", f"weather_valid_until={NOW + 50}"),
    ("method=GET,POST", "method=GET"),
    ("path_prefix=/v1", "path_prefix=/v1/berlin"),
    ("client_ip=192.0.2.0/24", "client_ip=192.0.2.0/28"),
    ("not_before=10", "not_before=20"),
    ("request_count=10", "request_count=5"),
]


def widening():
    out = []
    for wide, narrow in PAIRS:
        name = wide.split("=")[0]
        out.append(allowed(f"{name} narrowed", "A later caveat may narrow.", [wide, narrow]))
        out.append(allowed(f"{name} repeated", "The same is no wider.", [wide, wide]))
        out.append(
            denied(f"{name} widened", "A later caveat may not widen.", [narrow, wide], "widens")
        )
    far = ["method=GET", "path_prefix=/", "note=x", "method=GET,POST"]
    out.append(
        denied("widened across others", "What stands between changes nothing.", far, "widens")
    )
    back = ["method=GET,POST", "method=GET", "method=GET,POST"]
    why = "Each is compared with the one before it, not with the first."
    out.append(denied("narrowed and widened again", why, back, "widens"))
    tier = ["services=weather:0", "services=weather:1"]
    out.append(denied("another tier", "A tier is part of the item.", tier, "widens"))
    return out


def strangers():
    def both(name, why, caveat, condition):
        strict = [
            denied(
                f"{name}, strictly",
                "A restriction that is not understood.",
                [caveat],
                "not-known",
                condition,
                unknown="refuse",
            )
        ]
        return [allowed(name, why, [caveat])] + strict

    return (
        both(
            "an unknown condition",
            "Skipped, as the text says.",
            "monthly_volume_sats=5",
            "monthly_volume_sats",
        )
        + both("no equals sign", "Skipped.", "nothing", "nothing")
        + both("an empty condition", "Skipped.", "=GET", "=GET")
        + both("bytes that are no text", "Skipped.", b"\xff\xfe=1", "not text")
        + [
            allowed("another case", "Conditions have case.", ["Method=POST"]),
            allowed("a value with an equals sign", "Split at the first.", ["note=a=b"]),
            allowed(
                "another service's caveats, strictly",
                "Known, if not about this request.",
                ["maps_valid_until=1"],
                unknown="refuse",
            ),
            denied(
                "a known one after an unknown one",
                "All are looked at.",
                ["note=x", "method=POST"],
                "does-not-hold",
            ),
        ]
    )
