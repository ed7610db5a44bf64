"""What a row of the ledger says: a trial and its result."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mgu.errors import InputError
from mgu.layouts import Layout
from mgu.recorded import read_result
from mgu.spaces import Architecture, Cell
from mgu.study.trial import Estimator, Record, Trial

#: The columns of a row.
COLUMNS = "position, trial, status, attempts, lost_s + CASE status WHEN 'running' THEN elapsed_s ELSE 0 END, result"
Row = tuple[int, str, str, int, float, str | None]

#: What entries raise that are not as they should be: no JSON, of another kind, lacking a field, or having one more.
_DAMAGES = (ValueError, TypeError, KeyError, AttributeError)


def read_record(row: Row, source: Path) -> Record:
    """The record in a row of ``COLUMNS``.

    Raises InputError, naming the ledger ``source`` and the trial, for what is damaged or of a newer version.
    """
    position, known, status, attempts, lost_s, ended = row
    with readable(source, f"trial {position}"):
        trial = _trial(json.loads(known))
    with readable(source, f"trial {position} ({trial.model_name}, seed {trial.seed})"):
        result = read_result(json.loads(ended)) if ended else None
    return Record(trial, status, attempts, result, lost_s)


@contextmanager
def readable(source: Path, what: str) -> Iterator[None]:
    """Raise InputError, naming the file and what of it, where its entries cannot be read."""
    try:
        yield
    except _DAMAGES as error:
        raise InputError(
            f"{source}: {what} cannot be read ({type(error).__name__}: {error}): the file is damaged, or a newer mgu "
            "has written it; update mgu, or put a copy of the file back"
        ) from error


def _trial(table: dict[str, Any]) -> Trial:
    shape = table["architecture"]
    if "layout" not in shape:
        return Trial(**{**table, "architecture": Estimator(**shape)})
    cell = Cell(**shape["cell"]) if shape["cell"] else None
    architecture = Architecture(**{**shape, "layout": Layout(**shape["layout"]), "cell": cell})
    return Trial(**{**table, "architecture": architecture})
