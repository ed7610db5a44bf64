"""Results read again from the JSON data that ``dataclasses.asdict`` makes of them.

What is damaged, or does not go together, raises ValueError, TypeError, KeyError or AttributeError.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mgu.history import Answers, Decision, Energy, Epoch, Errors, Flops, Hardening, Result, Usage
from mgu.typed import checked

#: No cell of a confusion matrix counts more.
MOST_SAMPLES = 2**40
#: No run takes longer, no network has more weights, and no other number is larger.
MOST_SECONDS, MOST_WEIGHTS, MOST_NUMBER = 1e12, 10**24, 1e100

#: What entries of a result were called at first.
_RENAMED = {f"{split}_acc": f"{split}_score" for split in ("train", "val", "test")}


def read_result(table: Mapping[str, Any]) -> Result:
    """A result."""
    table = _of_today(table)
    _check_numbers(table)
    parts = {name: read(table[name]) for name, read in _PARTS.items() if table.get(name)}
    result = checked(Result(**{**table, "history": tuple(map(read_epoch, table["history"])), **parts}))
    _check_together(result)
    return result


def read_epoch(table: Mapping[str, Any]) -> Epoch:
    """An epoch of a history."""
    return checked(Epoch(**_of_today(table)))


def read_usage(table: Mapping[str, Any]) -> Usage:
    """What a run took of the machine."""
    return checked(Usage(**{**table, "energy": tuple(Energy(**entry) for entry in table["energy"])}))


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


def _check_numbers(value: Any) -> None:
    """Raise ValueError for a number that is finite, but beyond ``MOST_NUMBER``, wherever it stands."""
    if isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            _check_numbers(inner)
    elif isinstance(value, int | float) and MOST_NUMBER < abs(value) < math.inf:
        raise ValueError(f"{str(value)[:40]} is beyond {MOST_NUMBER:g}")


def _check_together(result: Result) -> None:
    """What reports take for granted."""
    seconds = (result.tts_s, result.train_s, result.compile_s, *(epoch.elapsed_s for epoch in result.history))
    hard, answers = result.hardening, (result.test_answers, result.test_case_answers)
    confusions = [known.confusion for known in answers if isinstance(known, Answers)]
    faults = {
        "it finished without a score or a best epoch": result.status == "finished"
        and None in (result.train_score, result.val_score, result.best_epoch),
        "its best epoch is not in its history": bool(result.history)
        and result.best_epoch not in (None, *range(1, 1 + len(result.history))),
        "its time is none": not all(0 <= s <= MOST_SECONDS for s in seconds),
        "a latency of its hardening is none": hard is not None
        and not all(0 < s <= MOST_SECONDS for s in (hard.soft_latency_s, hard.latency_s, hard.result.tts_s)),
        "its plain network has no size": hard is not None and not 0 <= hard.model_size <= MOST_WEIGHTS,
        "it was hardened after no epoch": hard is not None and not 1 <= hard.after_epoch <= len(hard.result.history),
        "its confusion is no square of counts": not all(map(_counts_samples, confusions)),
    }
    if wrong := [fault for fault, is_wrong in faults.items() if is_wrong]:
        raise ValueError("; ".join(wrong))


def _counts_samples(confusion: Sequence[Sequence[int]]) -> bool:
    """Has it as many columns as rows, and of samples more than none?"""
    counts = [count for row in confusion for count in row]
    is_square = all(len(row) == len(confusion) for row in confusion)
    return is_square and sum(counts) > 0 and all(0 <= count <= MOST_SAMPLES for count in counts)


_PARTS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "hardening": _hardening,
    "test_answers": _answers,
    "test_case_answers": _answers,
    "step_flops": lambda table: Flops(**table),
    "run_flops": lambda table: Flops(**table),
    "usage": read_usage,
}
