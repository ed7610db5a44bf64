"""JSON that somebody else wrote: plain data with each key once, or a clear error."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

#: Lists and objects lie at most so deep in one another.
MOST_DEPTH = 100


def read_json(text: str | bytes) -> Any:
    """The data; NaN and infinities may be among its numbers, as a training that diverged leaves them.

    Raises ValueError for what is no JSON, has a key twice in one object, is nested too deeply, or has a whole number of
    more than 4300 digits.
    """
    return _read(text)


def read_finite_json(text: str | bytes) -> Any:
    """The same, and ValueError for NaN and infinities, which are no JSON."""
    return _read(text, parse_constant=_refuse)


def _read(text: str | bytes, **options: Any) -> Any:
    try:
        found = json.loads(text, object_pairs_hook=_distinct, **options)
    except RecursionError:
        raise _too_deep() from None
    _check_depth(found)
    return found


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"the key {twice[:40]!r} is there twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _check_depth(found: Any) -> None:
    level = [found]
    for _ in range(MOST_DEPTH):
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return
    raise _too_deep()


def _inside(item: Any) -> Sequence[Any]:
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, list) else ()


def _too_deep() -> ValueError:
    return ValueError(f"it is nested deeper than {MOST_DEPTH} levels")
