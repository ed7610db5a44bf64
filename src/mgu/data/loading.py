"""``datasets.load_dataset`` without its noise, and with errors that say what to do."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mgu.errors import InputError


def load_sets(path: str, source: str, **options: Any) -> Any:
    """The ``datasets.DatasetDict`` of a folder, file format or Hub id; ``source`` names it in errors.

    Raises InputError for whatever keeps ``datasets`` from reading it.
    """
    import datasets

    try:
        return datasets.load_dataset(path, **options)
    except MemoryError:
        raise
    except Exception as error:  # each file format raises its own, wrapped or not
        raise InputError(
            f"{source}: cannot be read as a data set: {_reason(error)}; allowed are Parquet files in the Hub's layout "
            "and images, in one folder a class or with a metadata.csv"
        ) from error


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


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
