"""Whatever is in a model's folder, it answers or is refused: ``python fuzz/model_folder.py -max_total_time=600``.

The first byte of the input says which file of a good folder has the rest of it as its content. Checksums are worked out
again, as someone would who knows the format.
"""

import atexit
import csv
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

FILES = ("model.json", "model.safetensors", "weights.safetensors")


@cache
def good() -> Path:
    """The folder of a small network that was trained on a small table, which lies in it too."""
    import mgu

    folder = Path(tempfile.mkdtemp(prefix="mgu-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    rows = [[i, "ab"[i % 2], "yes" if i % 3 else "no"] for i in range(60)]
    with (folder / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["number", "word", "label"], *rows])
    model = mgu.fit(folder / "rows.csv", epochs=2, out=folder / "model", verbose=False).folder
    shutil.copy(folder / "rows.csv", model / "rows.csv")
    return model


def seeds() -> Iterator[bytes]:
    """The files of the good folder."""
    for i, name in enumerate(FILES):
        yield bytes([i]) + (good() / name).read_bytes()


def check(content: bytes) -> None:
    """Read the folder, and have it answer. Raises what nobody expects."""
    from mgu.data.fresh import read_fresh
    from mgu.errors import InputError
    from mgu.model import predictions, read_model

    with tempfile.TemporaryDirectory(dir=_memory()) as name:
        folder = Path(shutil.copytree(good(), Path(name, "model")))
        (folder / FILES[content[0] % len(FILES) if content else 0]).write_bytes(content[1:])
        _seal(folder)
        with suppress(InputError):
            model = read_model(folder)
            with suppress(InputError):
                model.soft()
            with suppress(InputError):
                str(model.decisions)
            found = predictions(model, read_fresh(str(folder / "rows.csv"), model.preprocessing))
            str((model, found.header, list(found.rows())))


def _seal(folder: Path) -> None:
    """Have the checksums in the card fit, where it is a card."""
    with suppress(ValueError, RecursionError, KeyError, TypeError, AttributeError):
        card: dict[str, Any] = json.loads((folder / FILES[0]).read_bytes())
        card.pop("checksum", None)
        card["sha256"] = _sha256(folder / FILES[1])
        with suppress(KeyError, TypeError):
            card["card"]["soft"]["sha256"] = _sha256(folder / FILES[2])
        card["checksum"] = hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()
        (folder / FILES[0]).write_text(json.dumps(card))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _memory() -> str | None:
    """A folder in memory, where the system has one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    from target import fuzz

    fuzz(check, seeds)
