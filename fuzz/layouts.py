"""Whatever a search space or a layout says, it is read or refused: ``python fuzz/layouts.py -max_total_time=600``."""

import json
from collections.abc import Iterator
from contextlib import suppress


def seeds() -> Iterator[bytes]:
    """The bundled spaces, and layouts as JSON."""
    from importlib import resources

    from mgu.spaces import bundled_spaces

    for name in bundled_spaces():
        yield (resources.files("mgu.spaces") / f"{name}.toml").read_bytes()
    yield b"[[4, 2, 2, 3, 1.5], [3, 8, 8], 3, 32, 1024]"


def check(content: bytes) -> None:
    """Read it as both. Raises what nobody expects."""
    from mgu.errors import InputError
    from mgu.layouts import Layout, plan_layers
    from mgu.spaces import parse_space

    with suppress(InputError, UnicodeDecodeError):
        space = parse_space(content.decode(), "fuzz")
        if len(space.models()) < 200:
            space.check(space.input_shape)
    with suppress(InputError, ValueError, RecursionError):
        found = json.loads(content)
        with suppress(InputError):
            str(Layout.of(found))
        if isinstance(found, list) and found:
            with suppress(InputError):
                plan_layers(Layout.of(found[0]), (3, 8, 8), start_filters=32, max_filters=1024, kernel_size=3)


if __name__ == "__main__":
    from target import fuzz

    fuzz(check, seeds)
