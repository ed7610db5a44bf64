"""What a row of the ledger says: a trial and its result."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from mgu.errors import InputError
from mgu.layouts import Layout
from mgu.plain_json import read_json
from mgu.recorded import MOST_SECONDS, MOST_WEIGHTS, read_result
from mgu.spaces import Architecture, Cell
from mgu.study.trial import ENDED, Estimator, Record, Trial
from mgu.typed import check, checked

#: The columns of a row.
COLUMNS = "position, trial, status, attempts, lost_s + CASE status WHEN 'running' THEN elapsed_s ELSE 0 END, result"
Row = tuple[int, str, str, int, float, str | None]

#: A model's name is a folder's too, and comes from whoever wrote the ledger.
_NAME = re.compile(r"[\w-]{1,100}")

#: What entries raise that are not as they should be: no JSON, of another kind or too deep, or with other fields.
_DAMAGES = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


def read_record(row: Row, source: Path) -> Record:
    """The record in a row of ``COLUMNS``.

    Raises InputError, naming the ledger ``source`` and the trial, for what is damaged or of a newer version.
    """
    position, known, status, attempts, lost_s, ended = row
    with readable(source, f"trial {position}"):
        trial = _trial(read_json(known))
    with readable(source, f"trial {position} ({trial.model_name}, seed {trial.seed})"):
        record = checked(Record(trial, status, attempts, read_result(read_json(ended)) if ended else None, lost_s))
        _check_together(record)
    return record


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
        return _named(Trial(**{**table, "architecture": Estimator(**shape)}))
    cell = Cell.of(str(checked(Cell(**shape["cell"])))) if shape["cell"] else None
    layout = Layout.of([shape["layout"][field.name] for field in fields(Layout)])
    return _named(Trial(**{**table, "architecture": Architecture(**{**shape, "layout": layout, "cell": cell})}))


def _named(trial: Trial) -> Trial:
    if not _NAME.fullmatch(checked(trial).model_name):
        raise ValueError(f"{trial.model_name[:40]!r} names no model: letters, digits, - and _ do")
    if not 0 <= trial.model_size <= MOST_WEIGHTS:
        raise ValueError(f"its size is {str(trial.model_size)[:40]}; up to {MOST_WEIGHTS:.0e} weights do")
    return trial


#: The settings that reports work with, by the table that they are in.
_SETTINGS: Mapping[tuple[str, str], Any] = {
    ("data", "name"): str | None,
    ("data", "note"): str | None,
    ("data", "validation"): int | None,
    ("data", "test"): int | None,
    ("space", "layouts"): list,
    ("space", "cells"): list,
    ("training", "epochs"): int,
    ("unit", "gates"): str,
}


def check_used(settings: Mapping[str, Any]) -> None:
    """Raise TypeError where a setting is of another kind than the one that reports work with."""
    check(settings, Mapping, "settings")
    for (table, name), kind in _SETTINGS.items():
        check(settings.get(table, {}), Mapping, table)
        if name in settings.get(table, {}):
            check(settings[table][name], kind, f"{table}.{name}")


def _check_together(record: Record) -> None:
    has_ended, result = record.status in ENDED, record.result
    if record.status not in ("pending", "running", *ENDED) or has_ended != (result is not None):
        raise ValueError(f"its status is {record.status[:40]!r}, its result {'there' if result else 'missing'}")
    if result and result.status != record.status:
        raise ValueError(f"its status is {record.status!r}, that of its result {result.status[:40]!r}")
    if not 0 <= record.lost_s <= MOST_SECONDS:
        raise ValueError(f"its lost time is {record.lost_s}")
