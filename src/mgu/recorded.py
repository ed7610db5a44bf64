"""Results read again from the JSON data that ``dataclasses.asdict`` makes of them.

What is damaged raises ValueError, TypeError, KeyError or AttributeError.
"""

from collections.abc import Callable, Mapping
from typing import Any

from mgu.history import Answers, Decision, Energy, Epoch, Errors, Flops, Hardening, Result, Usage

#: What entries of a result were called at first.
_RENAMED = {f"{split}_acc": f"{split}_score" for split in ("train", "val", "test")}


def read_result(table: Mapping[str, Any]) -> Result:
    """A result."""
    table = _of_today(table)
    parts = {name: read(table[name]) for name, read in _PARTS.items() if table.get(name)}
    return Result(**{**table, "history": tuple(map(read_epoch, table["history"])), **parts})


def read_epoch(table: Mapping[str, Any]) -> Epoch:
    """An epoch of a history."""
    return Epoch(**_of_today(table))


def read_usage(table: Mapping[str, Any]) -> Usage:
    """What a run took of the machine."""
    return Usage(**{**table, "energy": tuple(Energy(**entry) for entry in table["energy"])})


def _of_today(table: Mapping[str, Any]) -> dict[str, Any]:
    """The entries by the names that they have today."""
    return {_RENAMED.get(name, name): value for name, value in table.items()}


def _hardening(table: Mapping[str, Any]) -> Hardening:
    decisions = tuple(Decision(**decision) for decision in table["decisions"])
    usage = table.get("soft_usage")
    parts = {"result": read_result(table["result"]), "soft_usage": read_usage(usage) if usage else None}
    return Hardening(**{**table, "decisions": decisions, **parts})


def _answers(table: Mapping[str, Any]) -> Answers | Errors:
    if "r2" in table:
        return Errors(**table)
    return Answers(**{**table, "confusion": tuple(tuple(row) for row in table["confusion"])})


_PARTS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "hardening": _hardening,
    "test_answers": _answers,
    "test_case_answers": _answers,
    "step_flops": lambda table: Flops(**table),
    "run_flops": lambda table: Flops(**table),
    "usage": read_usage,
}
