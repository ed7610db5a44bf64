"""What a row of the ledger says: a trial, its result, and all that a result is made of."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mgu.errors import InputError
from mgu.history import Answers, Decision, Energy, Epoch, Errors, Flops, Hardening, Result, Usage
from mgu.layouts import Layout
from mgu.spaces import Architecture, Cell
from mgu.study.trial import Estimator, Record, Trial

#: The columns of a row.
COLUMNS = "position, trial, status, attempts, lost_s + CASE status WHEN 'running' THEN elapsed_s ELSE 0 END, result"
Row = tuple[int, str, str, int, float, str | None]

#: What entries of a result were called at first.
_RENAMED = {f"{split}_acc": f"{split}_score" for split in ("train", "val", "test")}
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
        result = _result(json.loads(ended)) if ended else None
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


def _result(table: dict[str, Any]) -> Result:
    table = _of_today(table)
    history = tuple(Epoch(**_of_today(epoch)) for epoch in table["history"])
    parts = {name: read(table[name]) for name, read in _PARTS.items() if table.get(name)}
    return Result(**{**table, "history": history, **parts})


def _of_today(table: dict[str, Any]) -> dict[str, Any]:
    """The entries by the names that they have today."""
    return {_RENAMED.get(name, name): value for name, value in table.items()}


def _hardening(table: dict[str, Any]) -> Hardening:
    decisions = tuple(Decision(**decision) for decision in table["decisions"])
    usage = table.get("soft_usage")
    parts = {"result": _result(table["result"]), "soft_usage": _usage(usage) if usage else None}
    return Hardening(**{**table, "decisions": decisions, **parts})


def _usage(table: dict[str, Any]) -> Usage:
    return Usage(**{**table, "energy": tuple(Energy(**entry) for entry in table["energy"])})


def _answers(table: dict[str, Any]) -> Answers | Errors:
    if "r2" in table:
        return Errors(**table)
    return Answers(**{**table, "confusion": tuple(tuple(row) for row in table["confusion"])})


_PARTS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "hardening": _hardening,
    "test_answers": _answers,
    "test_case_answers": _answers,
    "step_flops": lambda table: Flops(**table),
    "run_flops": lambda table: Flops(**table),
    "usage": _usage,
}
