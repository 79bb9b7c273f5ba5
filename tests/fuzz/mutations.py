"""Workflows with one to four things wrong: in their values, or in the bytes of their text."""

import copy
import json
import random
from typing import Any

from tests.fuzz.seeds import DOCUMENTS

_TEXTS = tuple(json.dumps(document) for document in DOCUMENTS)
_ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, -10, 1.5, 1e999, float("nan"), 10**30, 2**63, "", "S", "-10", "-1",
    "1", "3", "\x00", "\ud800", "\u202e.pt", "a\\b.pt", "..\\a.pt", "C:\\a.pt", "/a.pt", "\\" * 50,
    "embedding:", "<lora::>", "<lora:" * 30, "embedding:" * 30 + "\\a", "None", "x" * 3000 + ".pt",
    [], {}, [[]], [{}], ["a.pt"], {"": ""}, {"content": "a.pt"}, {"lora": ["a.pt"]},
    {"nodes": []}, ["1", 0], [0, 0, 0, 0, 0], {"__value__": 1},
)  # fmt: skip
_ODD_BYTES = (
    b"\xff", b"\x00", b"\\u005c", b"\\ud800", b'"', b"\\", b"{", b"[", b"]", b"}", b",", b":",
    b"NaN", b"1e9999", b"9" * 5000, b"[" * 2000, b'{"a":' * 1200, b"\xef\xbb\xbf", b"\xc0",
    b"<",
)  # fmt: skip


def mutated(seed: int) -> bytes:
    """Return the workflow of a number: the same number gives the same bytes."""
    chance = random.Random(seed)
    document: Any = json.loads(chance.choice(_TEXTS))
    for _ in range(chance.randint(1, 3)):
        _spoil(document, chance)
    data = json.dumps(document, ensure_ascii=chance.random() < 0.7).encode("utf-8", "surrogatepass")
    if chance.random() < 0.3:
        at = chance.randrange(len(data) + 1)
        keep = chance.choice((at, at, min(len(data), at + chance.randint(1, 20)), len(data)))
        data = data[:at] + chance.choice(_ODD_BYTES) + data[keep:]
    return data


def _spoil(document: Any, chance: random.Random) -> None:
    """Change one value somewhere inside: to an odd one, to one from elsewhere, or to none."""
    spots = list(_spots(document))
    if not spots:
        return
    container, key = chance.choice(spots)
    act = chance.random()
    if act < 0.6:
        container[key] = copy.deepcopy(chance.choice(_ODD_VALUES))
    elif act < 0.8:
        other, other_key = chance.choice(spots)
        container[key] = copy.deepcopy(other[other_key])
    elif act < 0.9 and isinstance(container, list):
        container += [copy.deepcopy(container[key]) for _ in range(chance.randint(1, 4))]
    else:
        del container[key]


def _spots(document: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list):
            keys = list(value) if isinstance(value, dict) else list(range(len(value)))
            found += [(value, key) for key in keys]
            waiting += [value[key] for key in keys]
    return found
