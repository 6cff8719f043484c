"""A holder adds a caveat to a token. Refused is what is no caveat, and what would make a token that
opens nothing because it is wider than a caveat that is there.
"""

from cases.caveats import PAIRS
from cases.common import accept, reject, token

SHARED = {}


def given(caveats, added):
    return {"token": token(caveats).v2().hex(), "add": added}


def taken(name, why, caveats, added):
    return accept(name, why, given(caveats, added), token=token([*caveats, added]).v2().hex())


def cases():
    out = [
        taken(
            "the first caveat",
            "Anything narrows a token without caveats.",
            [],
            "services=weather:0",
        ),
        taken(
            "another condition",
            "It has nothing to do with the others.",
            ["method=GET"],
            "path_prefix=/v1",
        ),
        taken("an unknown condition", "Its server may know it.", [], "monthly_volume_sats=5"),
        taken("the 128th caveat", "The most that is read.", ["a=b"] * 127, "a=b"),
        reject(
            "the 129th caveat", "Nobody would read it.", given(["a=b"] * 128, "a=b"), "too-many"
        ),
        reject("no equals sign", "Nobody would know what it means.", given([], "GET"), "no-value"),
        reject("no condition", "Nobody would know what it means.", given([], "=GET"), "no-value"),
        reject(
            "a value nobody can read",
            "It narrows nothing.",
            given(["request_count=5"], "request_count=many"),
            "widens",
        ),
    ]
    for wide, narrow in PAIRS:
        name = wide.split("=")[0]
        out.append(taken(f"{name} narrower", "It narrows.", [wide], narrow))
        out.append(reject(f"{name} wider", "It widens.", given([narrow], wide), "widens"))
    return out
