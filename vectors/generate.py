#!/usr/bin/env python3
"""Writes the vectors beside this file, or with `--check` says which of them would change.

What each case expects is worked out by `reference/` or written down by hand in `cases/`; the Rust
code has no part in it.
"""

import json
import pathlib
import sys

from cases import asks, caveats, challenges, charges, credentials, identifiers, invoices
from cases import keys, macaroons, narrowing

FILES = [
    asks, caveats, challenges, charges, credentials, identifiers, invoices, keys, macaroons, narrowing
]


def render(module):
    cases = module.cases()
    names = [case["name"] for case in cases]
    assert len(names) == len(set(names)), f"{module.__name__}: a name is there twice"
    lines = [json.dumps(case, ensure_ascii=True) for case in cases]
    head = {"about": module.__doc__.strip().replace("\n", " "), **getattr(module, "SHARED", {})}
    body = (
        json.dumps(head, indent=1)[:-2] + ',\n "cases": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"
    )
    assert json.loads(body)["cases"] == cases
    return body


def main():
    check, changed = "--check" in sys.argv[1:], []
    folder = pathlib.Path(__file__).parent
    for module in FILES:
        path = folder / (module.__name__.rsplit(".", 1)[-1] + ".json")
        text = render(module)
        if not path.exists() or path.read_text() != text:
            changed.append(path.name)
            if not check:
                path.write_text(text)
    print("changed: " + (", ".join(changed) or "nothing"))
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
