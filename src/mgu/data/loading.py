"""``datasets.load_dataset`` without its noise, and with errors that say what to do."""

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mgu.errors import InputError


def load_sets(path: str, source: str, folder: Path | None = None, **options: Any) -> Any:
    """The ``datasets.DatasetDict`` of a folder, file format or Hub id; ``source`` names it in errors.

    Raises InputError for whatever keeps ``datasets`` from reading it, and where its files are not all in ``folder``:
    the README of a data set may name any.
    """
    import datasets

    try:
        if folder is None:
            return datasets.load_dataset(path, **options)
        builder = datasets.load_dataset_builder(path, **options)
        for file in _files(builder):
            check_inside(file, [folder], source)
        builder.download_and_prepare()
        return builder.as_dataset()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # each file format raises its own, wrapped or not
        raise InputError(
            f"{source}: cannot be read as a data set: {_reason(error)}; allowed are Parquet files in the Hub's layout "
            "and images, in one folder a class or with a metadata.csv"
        ) from error


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


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
