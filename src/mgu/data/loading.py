"""``datasets.load_dataset`` without its noise, and with errors that say what to do."""

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mgu.data.csv_file import read_csv
from mgu.data.parquet_file import check_parquet
from mgu.errors import InputError

#: What a folder may hold.
ALLOWED = "allowed are Parquet files in the Hub's layout and images, in one folder a class or with a metadata.csv"


def load_sets(path: str, source: str, folder: Path | None = None, **options: Any) -> Any:
    """The ``datasets.DatasetDict`` of a folder, file format or Hub id; ``source`` names it in errors.

    Raises InputError for whatever keeps ``datasets`` from reading it, where its files are not all in ``folder``, since
    the README of a data set may name any, and where they are neither Parquet nor images.
    """
    import datasets

    try:
        if folder is None:
            return datasets.load_dataset(path, **options)
        builder = datasets.load_dataset_builder(path, **options)
        files = list(_files(builder))
        for file in files:
            check_inside(file, [folder], source)
        _check_kind(builder, [Path(file) for file in files], folder, source)
        builder.download_and_prepare()
        return builder.as_dataset()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # each file format raises its own, wrapped or not
        raise InputError(f"{source}: cannot be read as a data set: {_reason(error)}; {ALLOWED}") from error


def check_inside(file: str, folders: Iterable[Path], source: str) -> None:
    """Raise InputError, naming the ``source``, for a file by a path that leads out of these folders, or by a URL."""
    plain = Path(os.path.abspath(file))  # links are what the folder's owner made
    if "://" in file or not any(plain.is_relative_to(folder) for folder in folders):
        raise InputError(f"{source}: it names {file[:200]!r}, which is not in its folder and is not read; put it there")


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings, log and progress bars of ``datasets``; the user's settings come back."""
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars, logging

    with warnings.catch_warnings(action="ignore"):
        shown, verbosity = not are_progress_bars_disabled(), logging.get_verbosity()
        disable_progress_bars()
        # It logs the errors that it raises.
        logging.set_verbosity(logging.CRITICAL)
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if shown:
                enable_progress_bars()


def _files(builder: Any) -> Iterator[str]:
    """What a builder would read."""
    for files in (builder.config.data_files or {}).values():
        yield from map(str, files)


def _check_kind(builder: Any, files: Sequence[Path], folder: Path, source: str) -> None:
    from datasets.packaged_modules.imagefolder.imagefolder import ImageFolder
    from datasets.packaged_modules.parquet.parquet import Parquet

    if isinstance(builder, Parquet):
        check_parquet(files, source)
    elif isinstance(builder, ImageFolder):
        _check_images(builder, files, folder, source)
    else:
        raise InputError(
            f"{source}: it holds files of another kind, such as {files[0]}; {ALLOWED}. A CSV table is given by its own "
            "path, one file"
        )


def _check_images(builder: Any, files: Sequence[Path], folder: Path, source: str) -> None:
    for file in files:
        if file.suffix.lower() == ".zip":
            raise InputError(f"{source}: the archive {file} is in the way; unpack it or take it away: {ALLOWED}")
        if file.name == "metadata.csv":
            for name in read_csv(file).get("file_name", ()):
                check_inside(os.path.join(file.parent, str(name)), [folder], source)
    if builder.config.drop_labels is not False and not any(file.name in builder.METADATA_FILENAMES for file in files):
        _check_depth(files, source)


def _check_depth(images: Sequence[Path], source: str) -> None:
    """Raise InputError for an image that lies deeper, or less deep, than most: there are no classes then."""
    depths = Counter(len(file.parts) for file in images)
    usual = depths.most_common(1)[0][0]
    for file in images:
        if len(file.parts) != usual:
            where = "deeper" if len(file.parts) > usual else "less deep"
            raise InputError(
                f"{source}: {file} lies {where} than most of the images, so that folders tell no classes; have one "
                "folder a class, all at the same depth, or a metadata.csv"
            )


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
