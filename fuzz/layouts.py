"""Whatever a search space or a layout says, it is read or refused: ``python fuzz/layouts.py -max_total_time=600``.

The input is a space as TOML or as JSON, or a list of layouts as JSON.
"""

import json
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any


def seeds() -> Iterator[bytes]:
    """The bundled spaces, and layouts as JSON."""
    from importlib import resources

    from mgu.spaces import bundled_spaces

    for name in bundled_spaces():
        yield (resources.files("mgu.spaces") / f"{name}.toml").read_bytes()
    space = tomllib.loads((resources.files("mgu.spaces") / "digits.toml").read_text())
    yield json.dumps(space | {"layouts": space["layouts"][:2], "cells": space["cells"][:2]}).encode()
    yield b"[[4, 2, 2, 3, 1.5], [3, 8, 8], 3, 32, 1024]"


def check(content: bytes) -> None:
    """Read it as both. Raises what nobody expects."""
    from mgu.errors import InputError
    from mgu.layouts import Layout, plan_layers
    from mgu.spaces import parse_space

    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    with suppress(InputError, UnicodeDecodeError):
        space = parse_space(_toml(found) if isinstance(found, dict) else content.decode(), "fuzz")
        if len(space.models()) < 200:
            space.check(space.input_shape)
    for numbers in (found, *(found if isinstance(found, list) else ())):
        with suppress(InputError):
            plan_layers(Layout.of(numbers), (3, 8, 8), start_filters=32, max_filters=1024, kernel_size=3)


def _toml(table: dict[str, Any]) -> str:
    """Lists, texts and numbers are written alike in JSON and TOML."""
    return "\n".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in table.items())


if __name__ == "__main__":
    from target import fuzz

    fuzz(check, seeds)
