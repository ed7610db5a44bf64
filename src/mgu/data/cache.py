"""Decoded images on disk, so that a second load decodes nothing.

An entry is a folder, there whole or not at all: an array a file, ``classes.json``, ``group.json`` with the groups'
column, and ``index.json`` with the SHA-256 of each. A cache that cannot be read or written is done without, but for
images that do not fit in memory: these stay in their files, and are read from there.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mgu.data.arrays import Decoded, Split
from mgu.data.mapped import Mapped, fits
from mgu.data.query import Query
from mgu.data.tables import Table
from mgu.errors import InputError
from mgu.files import cache_folder as project_cache
from mgu.files import sha256

#: Part of each key: raise it when decoding changes.
FORMAT = 3


def cache_folder() -> Path:
    """``data`` in the project's cache. Raises RuntimeError where there is no home."""
    return project_cache() / "data"


def key(base: Path, files: Iterable[Path], query: Query) -> str:
    """The name of an entry: it changes with any file's name, size or time, the folder, and the query."""
    facts = [(f.relative_to(base).as_posix(), (stat := f.stat()).st_size, stat.st_mtime_ns) for f in sorted(files)]
    identity = [FORMAT, str(base.resolve()), asdict(query), facts]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def cached(key: str, decode: Callable[[Path | None], Decoded | Table]) -> Decoded | Table:
    """The entry, or what ``decode`` returns, stored where it is images: tables are read as fast without.

    ``decode`` is given a folder for mapped files, None where the cache cannot be written. Raises InputError where what
    it mapped cannot be kept.
    """
    entry = load(key)
    if entry is not None:
        return entry
    with _place() as name:
        folder = Path(name) if name else None
        decoded = decode(folder)
        if isinstance(decoded, Table) or folder is None:
            return decoded
        with suppress(OSError):  # one that is full, or another process was first
            _store(folder, key, decoded)
        return _opened(key) if any(isinstance(split.x, np.memmap) for split in decoded.splits.values()) else decoded


def load(key: str) -> Decoded | None:
    """The entry; None where there is none. One that is damaged is deleted."""
    try:
        entry = cache_folder() / key
        if not entry.is_dir():
            return None
    except (OSError, RuntimeError):
        return None
    try:
        _check(entry)
        return _read(entry)
    except (OSError, ValueError, TypeError, AttributeError):
        _delete(entry)
        return None


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for the time being, in the cache where that can be written: there is the room for a data set."""
    try:
        temporary = _temporary(cache_folder())
    except (OSError, RuntimeError):
        temporary = tempfile.TemporaryDirectory(prefix="mgu-", ignore_cleanup_errors=True)
    with temporary as folder:
        yield Path(folder)


def _place() -> AbstractContextManager[str | None]:
    """A folder for the time being in the cache, None where that cannot be written."""
    try:
        return _temporary(cache_folder())
    except (OSError, RuntimeError):
        return nullcontext()


def _store(folder: Path, key: str, decoded: Decoded) -> None:
    """Write the entry in the folder, and move it to its place."""
    _write(folder / key, decoded)
    os.replace(folder / key, cache_folder() / key)


def _opened(key: str) -> Decoded:
    """The entry that was just stored."""
    try:
        return _read(cache_folder() / key)
    except OSError as error:
        raise InputError(
            f"{cache_folder()}: the decoded images, too many for memory, cannot be kept there ({error.strerror}); make "
            "room, or set MGU_CACHE to another folder"
        ) from None


def _temporary(parent: Path) -> "tempfile.TemporaryDirectory[str]":
    parent.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=parent, prefix=".part-", ignore_cleanup_errors=True)


def _check(entry: Path) -> None:
    checksums = json.loads((entry / "index.json").read_bytes())
    for name, checksum in checksums.items():
        if sha256(entry / name) != checksum:
            raise ValueError(f"{entry / name} is damaged")
    if "train_x.npy" not in checksums:
        raise ValueError(f"{entry} is incomplete")


def _read(entry: Path) -> Decoded:
    classes = tuple(json.loads((entry / "classes.json").read_bytes()))
    group = json.loads((entry / "group.json").read_bytes())
    images = {role: path for role in ("train", "validation", "test") if (path := entry / f"{role}_x.npy").exists()}
    held = fits(sum(path.stat().st_size for path in images.values()))
    names = ("y",) if group is None else ("y", "groups")
    splits = {
        role: Split(
            np.load(path, allow_pickle=False) if held else Mapped(path),
            *(np.load(entry / f"{role}_{name}.npy", allow_pickle=False) for name in names),
        )
        for role, path in images.items()
    }
    return Decoded(splits, classes, group)


def _write(entry: Path, decoded: Decoded) -> None:
    entry.mkdir()
    (entry / "classes.json").write_text(json.dumps(decoded.classes), encoding="utf-8")
    (entry / "group.json").write_text(json.dumps(decoded.group), encoding="utf-8")
    for role, split in decoded.splits.items():
        if isinstance(split.x, np.memmap) and split.x.filename:
            split.x.flush()
            os.replace(split.x.filename, entry / f"{role}_x.npy")
        else:
            np.save(entry / f"{role}_x.npy", split.x, allow_pickle=False)
        np.save(entry / f"{role}_y.npy", split.y, allow_pickle=False)
        if split.groups is not None:
            np.save(entry / f"{role}_groups.npy", split.groups, allow_pickle=False)
    checksums = {file.name: sha256(file) for file in sorted(entry.iterdir())}
    (entry / "index.json").write_text(json.dumps(checksums, indent=1), encoding="utf-8")


def _delete(entry: Path) -> None:
    # Moved first: another process must not find it half deleted.
    with suppress(OSError), _temporary(entry.parent) as folder:
        os.replace(entry, Path(folder, entry.name))
