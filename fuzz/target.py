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

    What of mgu is imported meanwhile has its branches counted. Input that is JSON, perhaps behind a byte that says what
    it is, is mostly changed as data, and half of what is changed is a seed: most of what is kept is far from any.
    """
    with atheris.instrument_imports(include=["mgu"]):
        good = list(seeds())
        for seed in good:
            check(seed)

    def mutated(content: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        chosen = random.choice((content, random.choice(good)))
        found = _changed(chosen, random) if random.random() < 0.8 else b""
        return found if 0 < len(found) <= most else bytes(atheris.Mutate(chosen, most))

    with tempfile.TemporaryDirectory() as corpus:
        for i, seed in enumerate(good):
            Path(corpus, str(i)).write_bytes(seed)
        # What the seeds reach was reached above, and they would be dropped as nothing new.
        atheris.Setup([*sys.argv, "-timeout=60", "-keep_seed=1", corpus], check, custom_mutator=mutated)
        atheris.Fuzz()


def _changed(content: bytes, random: Random) -> bytes:
    """With other data; nothing where it has none."""
    start = 0 if content[:1] in (b"[", b"{") else 1
    try:
        return content[:start] + text(changed(json.loads(content[start:]), random))
    except (ValueError, RecursionError):
        return b""
