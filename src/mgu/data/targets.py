"""From target columns to class numbers or quantities, as the task asks."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mgu.data.arrays import Target
from mgu.data.cells import check_spread, numbers
from mgu.data.labels import encode_labels
from mgu.data.places import Place
from mgu.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Columns = Mapping[str, "pd.Series[Any]"]
Encoded = tuple[Mapping[str, Target], tuple[str, ...]]

#: A target of numbers with more distinct values than this may be a quantity.
MAX_NUMBERS = 20

#: Whole numbers of at most so many of the rows are classes all the same.
MAX_SHARE = 0.05


def encode_target(
    columns: Columns, names: Sequence[str] | None, places: Mapping[str, Place], task: str | None
) -> Encoded:
    """The targets of each split that has them, (samples,), and the class names.

    For classification int64, an index into the classes; for regression float32, and there are no classes. Where
    ``task`` is None, a target that has fractions and many distinct values is a quantity, and any other is classes.
    ``names`` are given where the columns hold numbers of named classes. A validation or test split without any target
    is left out.

    Raises InputError for a missing target, whole numbers that may be either, and what the task's encoder raises.
    """
    labelled = {role: column for role, column in columns.items() if role == "train" or not _blank(column, columns)}
    for role, column in labelled.items():
        _check_complete(column, names, places[role])
    task = task or ("classification" if names is not None else _task(labelled["train"], places["train"]))
    return ENCODERS[task](labelled, names, places)


def encode_quantities(columns: Columns, names: Sequence[str] | None, places: Mapping[str, Place]) -> Encoded:
    """Quantities, (samples,) float32, and no classes.

    Raises InputError for classes, for what is not a finite number, and where all of the training split are equal.
    """
    place = places["train"]
    if names is not None:
        raise InputError(
            f"{place.text}: the target {columns['train'].name!r} holds classes ({names[0]}, ...); regression "
            "needs a quantity: name another target, or leave the task out"
        )
    y = {role: numbers(column, places[role]).astype(np.float32) for role, column in columns.items()}
    if (y["train"] == y["train"][0]).all():
        raise InputError(
            f"{place.text}: the target {columns['train'].name!r} is {y['train'][0]:g} in all rows; two "
            "different values are needed"
        )
    return y, ()


def check_varied(y: Mapping[str, Target], source: str) -> None:
    """Raise InputError for a split whose quantities are all equal: R² compares with their variance, which is 0. And for
    quantities that 32 bits do not hold once they are standardised."""
    check_spread("the target", y["train"], np.concatenate(list(y.values())), source)
    for role, values in y.items():
        if (values == values[0]).all():
            raise InputError(
                f"{source}: the target is {values[0]:g} in all {len(values)} samples of the {role} split, which has no "
                "R² then; two different values are needed in each split: take more rows, have splits of your own, or "
                "another target"
            )


#: By task, how its targets are encoded.
ENCODERS: Mapping[str, Callable[[Columns, Sequence[str] | None, Mapping[str, Place]], Encoded]] = {
    "classification": encode_labels,
    "regression": encode_quantities,
}


def _task(column: "pd.Series[Any]", place: Place) -> str:
    from pandas.api.types import infer_dtype

    if infer_dtype(column) not in ("integer", "floating", "mixed-integer-float", "decimal"):
        return "classification"
    values: NDArray[np.float64] = np.unique(column.to_numpy(dtype=np.float64))
    if (values != np.rint(values)).any():
        return "regression" if len(values) > min(MAX_NUMBERS, len(column) / 2) else "classification"
    if len(values) > max(MAX_NUMBERS, MAX_SHARE * len(column)):
        raise InputError(
            f"{place.text}: the target {column.name!r} holds {len(values)} different whole numbers in {len(column)} "
            "rows, which may be classes or a quantity; name the task: 'classification' or 'regression'"
        )
    return "classification"


def _blank(column: "pd.Series[Any]", columns: Columns) -> bool:
    # The Hub marks the labels it withholds with -1, which may also be a class of its own: then train has it too.
    return bool((column.isna() | column.eq(-1)).all()) and not bool(columns["train"].eq(-1).any())


def _check_complete(column: "pd.Series[Any]", names: Sequence[str] | None, place: Place) -> None:
    if not len(column):
        raise InputError(f"{place.text}: there are no rows")
    bad = column.isna()
    if names is not None:
        bad |= ~column.between(0, len(names) - 1)
    if bad.any():
        raise InputError(
            f"{place.text}: the target {column.name!r} is missing in {place.row(column.index[bad][0])}, and in "
            f"{int(bad.sum())} of {len(column)} rows in all; fill it or drop the row"
        )
