"""From target columns to class numbers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mgu.data.cells import MAX_LETTERS, as_text
from mgu.data.places import Place
from mgu.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Labels = NDArray[np.int64]

#: A confusion matrix has the square of so many numbers.
MAX_CLASSES = 10_000


def encode_labels(
    columns: Mapping[str, "pd.Series[Any]"], names: Sequence[str] | None, places: Mapping[str, Place]
) -> tuple[Mapping[str, Labels], tuple[str, ...]]:
    """The class numbers of each split, (samples,) int64, and the class names; no label is missing.

    ``names`` are given where the columns hold numbers of named classes; else the classes are the distinct values,
    sorted. Raises InputError for a single class, for more than ``MAX_CLASSES``, for one with a name of more than
    ``MAX_LETTERS``, and for a class that the training split lacks.
    """
    if names is None:
        y, classes = _encode_values(columns, places)
    else:
        y = {role: column.to_numpy(dtype=np.int64) for role, column in columns.items()}
        classes = tuple(names)
    _check_count(classes, columns["train"], places["train"])
    _check_seen(y, classes, places)
    return y, classes


def _encode_values(
    columns: Mapping[str, "pd.Series[Any]"], places: Mapping[str, Place]
) -> tuple[dict[str, Labels], tuple[str, ...]]:
    factored = {role: _factorize(column, places[role]) for role, column in columns.items()}
    classes = _in_order({text for _, texts in factored.values() for text in texts})
    number = {text: i for i, text in enumerate(classes)}
    y = {
        role: np.array([number[text] for text in texts], dtype=np.int64)[codes]
        for role, (codes, texts) in factored.items()
    }
    return y, classes


def _factorize(column: "pd.Series[Any]", place: Place) -> tuple[Labels, list[str]]:
    try:
        codes, values = column.factorize()
    except TypeError:
        raise InputError(
            f"{place.text}: the target {column.name!r} must hold one label a row, not lists or mappings"
        ) from None
    return codes, [as_text(value) for value in values.tolist()]


def _in_order(texts: set[str]) -> tuple[str, ...]:
    try:
        return tuple(sorted(texts, key=lambda text: (float(text), text)))
    except ValueError:
        return tuple(sorted(texts))


def _check_count(classes: Sequence[str], column: "pd.Series[Any]", place: Place) -> None:
    if len(classes) > MAX_CLASSES:
        raise InputError(
            f"{place.text}: the target {column.name!r} has {len(classes):,} different values in {len(column):,} rows, "
            f"as an id or a name has; at most {MAX_CLASSES:,} classes are allowed: name another column (--target), or "
            "where it is a quantity the task 'regression'"
        )
    longest = max(classes, key=len)
    if len(longest) > MAX_LETTERS:
        raise InputError(
            f"{place.text}: the target {column.name!r} has a class of {len(longest):,} letters ({longest[:40]!r}...); "
            f"{MAX_LETTERS:,} are allowed: shorten it"
        )


def _check_seen(y: Mapping[str, Labels], classes: Sequence[str], places: Mapping[str, Place]) -> None:
    seen = set(y["train"].tolist())
    if len(seen) < 2:
        raise InputError(f"{places['train'].text}: all samples are of class {classes[min(seen)]!r}; two are needed")
    for role, labels in y.items():
        unseen = sorted(set(labels.tolist()) - seen)
        if unseen:
            raise InputError(
                f"{places[role].text}: class {classes[unseen[0]]!r} does not occur in the training split; add samples "
                "of it there, or drop it here"
            )
