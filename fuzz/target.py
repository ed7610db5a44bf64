"""Starts atheris on a target, with a corpus that is made when it starts."""

import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import atheris

from mutation import changed, text


def fuzz(check: Callable[[bytes], None], seeds: Callable[[], Iterable[bytes]]) -> None:
    """Call ``check`` with changed ``seeds`` until it raises something, or as long as the command line says.

    What of mgu is imported meanwhile has its branches counted. Input that is JSON is changed as data half of the time.
    """
    with tempfile.TemporaryDirectory() as corpus:
        with atheris.instrument_imports(include=["mgu"]):
            for i, seed in enumerate(seeds()):
                check(seed)
                Path(corpus, str(i)).write_bytes(seed)
        atheris.Setup([*sys.argv, "-timeout=60", corpus], check, custom_mutator=_mutated)
        atheris.Fuzz()


def _mutated(content: bytes, most: int, seed: int) -> bytes:
    random = Random(seed)
    start = 0 if content[:1] in (b"[", b"{") else 1  # behind a byte that says what it is
    try:
        data = json.loads(content[start:])
        found = content[:start] + text(changed(data, random)) if random.random() < 0.8 else b""
    except (ValueError, RecursionError):
        found = b""
    return found if 0 < len(found) <= most else bytes(atheris.Mutate(content, most))
