"""Which rows of a source are kept, and which group each is of."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mgu.data.arrays import Groups, Target
from mgu.data.cells import as_text
from mgu.data.places import Place
from mgu.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Frames = Mapping[str, "pd.DataFrame"]

#: An error lists at most so many of a column's values.
MAX_LISTED = 20


def keep_rows(
    frames: Frames,
    keep: Mapping[str, Sequence[str]],
    places: Mapping[str, Place],
    names: Mapping[str, Sequence[str]] | None = None,
) -> Frames:
    """The rows that hold, in every column of ``keep``, one of its values; with the numbers that they had.

    A cell is compared as text, a class number by its name where ``names`` has those of the column. Raises InputError,
    listing the values that there are, for one that no row has, and where no row of a split is left.
    """
    kept = frames
    for column, values in keep.items():
        texts = {role: _texts(frame[column], (names or {}).get(column)) for role, frame in frames.items()}
        _check_known(column, values, sorted({text for several in texts.values() for text in several.dropna()}), places)
        kept = {role: frame[texts[role][frame.index].isin(values)] for role, frame in kept.items()}
    for role, frame in kept.items():
        if keep and frame.empty:
            listed = ", ".join(f"{column}={' or '.join(values)}" for column, values in keep.items())
            raise InputError(f"{places[role].text}: no row is left of those to be kept ({listed})")
    return kept


def read_groups(
    frames: Frames, group: str, y: Mapping[str, Target], classes: Sequence[str], places: Mapping[str, Place]
) -> dict[str, Groups]:
    """The names in the column ``group``, (samples,), of each split that has targets.

    Raises InputError for a name that is missing, and for a group of two classes or in two splits.
    """
    for role in y:
        _check_complete(frames[role][group], places[role])
    groups = {role: np.array([as_text(name) for name in frames[role][group].tolist()]) for role in y}
    _check_apart(groups, group, places)
    if classes:
        for role, names in groups.items():
            _check_one_class(names, y[role], frames[role].index.tolist(), group, classes, places[role])
    return groups


def _texts(column: "pd.Series[Any]", names: Sequence[str] | None) -> "pd.Series[Any]":
    def text(value: Any) -> str:
        return as_text(names[int(value)] if names and value >= 0 else value)  # the Hub's -1 is no class

    return column.map(text, na_action="ignore")


def _check_known(column: str, values: Sequence[str], known: Sequence[str], places: Mapping[str, Place]) -> None:
    for value in values:
        if value not in known:
            listed = ", ".join(known[:MAX_LISTED]) + ", ..." * (len(known) > MAX_LISTED)
            raise InputError(f"{places['train'].text}: no row has {column}={value}; its values are: {listed or 'none'}")


def _check_complete(column: "pd.Series[Any]", place: Place) -> None:
    missing = column.isna()
    if missing.any():
        raise InputError(
            f"{place.text}: the group {column.name!r} is missing in {place.row(column.index[missing][0])}, and in "
            f"{int(missing.sum())} of {len(column)} rows in all; fill it or drop the row"
        )


def _check_apart(groups: Mapping[str, Groups], group: str, places: Mapping[str, Place]) -> None:
    owner: dict[str, str] = {}
    for role, names in groups.items():
        for name in np.unique(names).tolist():
            if owner.setdefault(name, role) != role:
                raise InputError(
                    f"{group} {name!r} is in two splits: {places[owner[name]].text}, and {places[role].text}; have all "
                    "of a group in one split, and different groups by different names"
                )


def _check_one_class(
    names: Groups, y: Target, numbers: Sequence[Any], group: str, classes: Sequence[str], place: Place
) -> None:
    _, first, of = np.unique(names, return_index=True, return_inverse=True)
    wrong = np.flatnonzero(y != y[first[of]])
    if len(wrong):
        other = int(wrong[0])
        one = int(first[of[other]])
        (label, row), (label2, row2) = ((classes[int(y[i])], place.row(numbers[i])) for i in (one, other))
        raise InputError(
            f"{place.text}: {group} {str(names[one])!r} has two labels: {label!r} in {row} and {label2!r} in {row2}; "
            "a group needs one: correct it, or name another column as the group (--group)"
        )
