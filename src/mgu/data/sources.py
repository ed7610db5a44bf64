"""Where data comes from: a bundled set, a file, a folder, or the Hugging Face Hub."""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mgu.data import cache
from mgu.data.arrays import Decoded
from mgu.data.bundled import BUNDLED, load_bundled
from mgu.data.csv_file import read_csv
from mgu.data.decoding import decode
from mgu.data.hub import HUB_NAMES, hub_folders, is_hub_id, load_from_hub
from mgu.data.loading import load_sets, quiet
from mgu.data.places import sheet
from mgu.data.query import Query
from mgu.data.tables import Table, read_tables
from mgu.errors import InputError


def read(name: str, query: Query) -> Decoded | Table:
    """All that the named source holds, uncut; see ``mgu.data.load_data`` for the names and for what is raised."""
    if name in BUNDLED:
        return load_bundled(name, query)
    path = Path(os.path.expanduser(name))
    suffix = path.suffix.lower()
    exists = name != "" and os.path.exists(path)
    if name in HUB_NAMES or (is_hub_id(name) and not exists and suffix not in (".csv", ".parquet")):
        return _read_hub(HUB_NAMES.get(name, name), query)
    if exists and os.path.isdir(path):
        return _read_folder(path, query)
    if exists and suffix == ".csv":
        return _read_csv(path, query)
    if exists and suffix == ".parquet":
        return _read_files(path.parent, [path], query, "parquet", str(path), data_files={"train": str(path)})
    raise InputError(_unknown(name, path, exists))


def _read_hub(name: str, query: Query) -> Decoded | Table:
    with quiet():
        sets = load_from_hub(name)
        files = [Path(file["filename"]) for split in sets.cache_files.values() for file in split]
        if not files:
            return decode(sets, name, query, hub_folders())
        key = cache.key(Path(os.path.commonpath([file.parent for file in files])), files, query)
        return cache.cached(key, lambda mapped: decode(sets, name, query, hub_folders(), mapped))


def _read_folder(path: Path, query: Query) -> Decoded | Table:
    # As ``datasets`` looks for files: links to folders are not followed.
    found = [Path(folder, file) for folder, _, names in os.walk(path) for file in names]
    files = [file for file in found if os.path.isfile(file)]  # no links that lead nowhere
    for file in files:
        if not _is_utf8(str(file)):
            shown = str(file).encode(errors="backslashreplace").decode()
            raise InputError(f"{shown}: the name of this file is not UTF-8; rename it")
    return _read_files(path, files, query, str(path.resolve()), str(path))


def _read_files(
    base: Path, files: Sequence[Path], query: Query, loader: str, source: str, **options: Any
) -> Decoded | Table:
    if set("*?[") & set(f"{base.resolve()}{source}"):
        raise InputError(f"{source}: datasets reads * ? and [ in a path as wildcards; rename the folder or file")

    def decode_anew(mapped: Path | None) -> Decoded | Table:
        # Its own copy would stay for good in the cache of ``datasets``; ours is kept instead.
        with cache.scratch() as theirs, quiet():
            sets = load_sets(loader, source, base.resolve(), cache_dir=str(theirs), **options)
            return decode(sets, source, query, [base.resolve()], mapped)

    return cache.cached(cache.key(base, files, query), decode_anew)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_csv(path: Path, query: Query) -> Decoded | Table:
    frame = read_csv(path)
    return read_tables({"train": frame}, query, {"train": sheet(str(path))}, str(path), {})


def _unknown(name: str, path: Path, exists: bool) -> str:
    known = [*BUNDLED, *HUB_NAMES]
    allowed = (
        f"allowed are {', '.join(known)}, an id of the Hugging Face Hub (owner/name), a folder of Parquet files or of "
        "images, and a .csv or .parquet file"
    )
    if exists:
        return (
            f"{name}: a file {f'of kind {path.suffix}' if path.suffix else 'without suffix'} is no data set; {allowed}"
        )
    if path.suffix.lower() in (".csv", ".parquet") or "/" in name or os.sep in name or name.startswith((".", "~")):
        return f"there is no file or folder {name!r} in {os.getcwd()}; {allowed}"
    closest = get_close_matches(name.lower(), known, n=1, cutoff=0)[0]
    return f"unknown data set {name!r}: {allowed}; did you mean {closest!r}?"
