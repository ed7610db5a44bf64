"""JSON data with something wrong in it: what a stranger may have written."""

import copy
import json
import math
from random import Random
from typing import Any

DEEP: list[Any] = []
for _ in range(150):
    DEEP = [DEEP]

#: What stands where something else should.
ODD = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2,
        7,
        2**31,
        -(2**63),
        10**30,
        10**400,
        0.5,
        -1.5,
        1e-300,
        1e300,
        math.nan,
        math.inf,
    ),
    *(
        "",
        "a",
        "ln",
        "../../a",
        "/etc/passwd",
        "C:\\a",
        "a\0b",
        "\ud800",
        "<script>alert(1)</script>",
        "=1+1",
        "\x1b[2J",
    ),
    *("finished", "failed", "Linear", "x", "9" * 5000, [], {}, [[]], [1, 2], {"a": 1}, DEEP),
)


def changed(data: Any, random: Random) -> Any:
    """A copy of the data with one to three changes: a value that is odd, missing, there twice, or from elsewhere."""
    found = [copy.deepcopy(data)]
    for _ in range(random.randint(1, 3)):
        if not (places := list(_places(found))):
            break
        container, key = random.choice(places)
        random.choice((_set, _set, _moved, _removed, _added))(container, key, places, random)
    return found[0] if found else None


def text(data: Any) -> bytes:
    """As JSON, whatever is in it."""
    return json.dumps(data).encode()


def _places(container: Any) -> Any:
    keys = container.keys() if isinstance(container, dict) else range(len(container))
    for key in list(keys):
        yield container, key
        if isinstance(container[key], dict | list):
            yield from _places(container[key])


def _set(container: Any, key: Any, places: Any, random: Random) -> None:
    container[key] = copy.deepcopy(random.choice(ODD))


def _moved(container: Any, key: Any, places: Any, random: Random) -> None:
    other, name = random.choice(places)
    container[key] = copy.deepcopy(other[name])


def _removed(container: Any, key: Any, places: Any, random: Random) -> None:
    del container[key]


def _added(container: Any, key: Any, places: Any, random: Random) -> None:
    value = copy.deepcopy(container[key])
    if isinstance(container, list):
        container.append(value)
    else:
        container[random.choice(("value", "kind", "new", f"{key} "))] = value
