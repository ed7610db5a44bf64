"""From target columns to class numbers."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mgu.data.places import Place
from mgu.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Labels = NDArray[np.int64]

#: A target that has fractions and more distinct values than this is taken for a quantity, not for classes.
MAX_FRACTIONS = 20


def encode_labels(
    columns: Mapping[str, "pd.Series[Any]"], names: Sequence[str] | None, places: Mapping[str, Place]
) -> tuple[dict[str, Labels], tuple[str, ...]]:
    """The class numbers of each split that has labels, (samples,) int64, and the class names.

    ``names`` are given where the columns hold numbers of named classes; else the classes are the distinct values,
    sorted. A validation or test split without any label is left out. Raises InputError for a missing label, a
    quantity, a single class, and a class that the training split lacks.
    """
    labelled = {role: column for role, column in columns.items() if role == "train" or not _blank(column, columns)}
    for role, column in labelled.items():
        _check_complete(column, names, places[role])
    if names is None:
        _check_classes(labelled["train"], places["train"])
        y, classes = _encode_values(labelled, places)
    else:
        y = {role: column.to_numpy(dtype=np.int64) for role, column in labelled.items()}
        classes = tuple(names)
    _check_seen(y, classes, places)
    return y, classes


def _blank(column: "pd.Series[Any]", columns: Mapping[str, "pd.Series[Any]"]) -> bool:
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


def _check_classes(column: "pd.Series[Any]", place: Place) -> None:
    from pandas.api.types import is_float_dtype

    if not is_float_dtype(column):
        return
    values = column.unique()
    fractions = values[values % 1 != 0]
    if len(fractions) and len(values) > min(MAX_FRACTIONS, len(column) / 2):
        raise InputError(
            f"{place.text}: the target {column.name!r} is a quantity ({len(values)} distinct values in {len(column)} "
            f"rows, such as {fractions[0]:g}); only classification is supported: bin it into classes, or name another "
            "target"
        )


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
    return codes, [_text(value) for value in values.tolist()]


def _text(value: Hashable) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _in_order(texts: set[str]) -> tuple[str, ...]:
    try:
        return tuple(sorted(texts, key=lambda text: (float(text), text)))
    except ValueError:
        return tuple(sorted(texts))


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
