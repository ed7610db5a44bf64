"""The estimators' parameters: what is allowed, and the sizes that "auto" stands for."""

from collections.abc import Callable, Mapping
from math import inf, log2, nextafter, sqrt
from typing import Any

import numpy as np

from mgu.errors import InputError
from mgu.layouts import Layout
from mgu.sklearn.training import TableRecipe
from mgu.spaces import Architecture
from mgu.wiring import OPTIONS

AUTO = "auto"


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)


def _number(least: float, below: float) -> Callable[[Any], bool]:
    def allows(value: Any) -> bool:
        return isinstance(value, int | float | np.integer | np.floating) and bool(least <= value < below)

    return allows


def _flag(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def _options(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping) and value.keys() <= OPTIONS.keys())


#: The smallest number above 0, and the smallest above one half.
POSITIVE, ABOVE_HALF = nextafter(0, 1), nextafter(0.5, 1)

#: By parameter, whether a value is allowed, and which are, in words.
ALLOWED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "width": (lambda value: value == AUTO or _whole(value), "'auto' or a whole number of at least 1"),
    "depth": (_whole, "a whole number of at least 1"),
    "dropout": (_number(0, 1), "a number from 0 to below 1"),
    "learning_rate": (_number(POSITIVE, inf), "a number above 0"),
    "weight_decay": (
        lambda value: (isinstance(value, str) and value == AUTO) or _number(0, inf)(value),
        "'auto' or a number of at least 0",
    ),
    "batch_size": (lambda value: value == AUTO or _whole(value), "'auto' or a whole number of at least 1"),
    "max_iter": (_whole, "a whole number of at least 1"),
    "validation_fraction": (_number(POSITIVE, ABOVE_HALF), "a number above 0, up to 0.5"),
    "n_iter_no_change": (_whole, "a whole number of at least 1"),
    "harden_after": (_number(0, 1), "a share of the epochs, 0 to below 1"),
    "early_stopping": (_flag, "True or False"),
    "warm_start": (_flag, "True or False"),
    "unit": (_options, f"None or a dict of {', '.join(OPTIONS)}"),
}


def check_parameters(estimator: Any) -> None:
    """Raises InputError, naming the parameter, for a value that is out of range."""
    for name, (allows, words) in ALLOWED.items():
        value = getattr(estimator, name)
        if not allows(value):
            raise InputError(f"{name} must be {words}; {value!r} was given")


def width_of(estimator: Any, rows: int) -> int:
    """The units' width; "auto" is the power of two nearest to 1.5 sqrt(rows), from 32 to 256."""
    if estimator.width != AUTO:
        return int(estimator.width)
    return int(min(256, max(32, 2 ** round(log2(1.5 * sqrt(rows))))))


def batch_size_of(estimator: Any, rows: int) -> int:
    """The rows in a batch; "auto" is about 16 batches an epoch, of 32 to 256 rows."""
    return min(256, max(32, rows // 16)) if estimator.batch_size == AUTO else int(estimator.batch_size)


def weight_decay_of(estimator: Any, rows: int) -> float:
    """The weight decay; "auto" is 300 / rows, from 0.1 to 1: the fewer the rows, the more."""
    return min(1.0, max(0.1, 300 / rows)) if estimator.weight_decay == AUTO else float(estimator.weight_decay)


def architecture(estimator: Any, width: int) -> Architecture:
    """``depth`` MultiGatedUnits over linear layers of one width, dropout, and a readout."""
    layout = Layout(int(estimator.depth), 0, 1, inf, 1)
    return Architecture(
        layout,
        activation=estimator.activation,
        dropout=float(estimator.dropout),
        start_filters=width,
        max_filters=width,
    )


def recipe(estimator: Any, rows: int) -> TableRecipe:
    """How the parameters say that a network is trained; one that does not stop early has patience for all epochs."""
    epochs = int(estimator.max_iter)
    return TableRecipe(
        epochs=epochs,
        horizon=epochs,
        batch_size=batch_size_of(estimator, rows),
        lr=float(estimator.learning_rate),
        weight_decay=weight_decay_of(estimator, rows),
        patience=int(estimator.n_iter_no_change) if estimator.early_stopping else epochs,
    )
