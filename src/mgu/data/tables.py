"""From data frames to features and labels."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mgu.data.arrays import Decoded, Split
from mgu.data.labels import encode_labels
from mgu.data.places import Place
from mgu.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_NUMERIC = ("boolean", "integer", "floating", "mixed-integer-float", "empty")


def decode_tables(
    frames: Mapping[str, "pd.DataFrame"], target: str, names: Sequence[str] | None, places: Mapping[str, Place]
) -> Decoded:
    """All columns but ``target`` as features, (samples, features) float32.

    ``frames`` are indexed by the row numbers that errors show. Raises InputError for a column without a name, one that
    is not numeric, and a value that is missing or infinite, naming split, column and row; and what ``encode_labels``
    raises.
    """
    y, classes = encode_labels({role: frame[target] for role, frame in frames.items()}, names, places)
    splits = {role: Split(_features(frames[role].drop(columns=target), places[role]), y[role]) for role in y}
    return Decoded(splits, classes)


def _features(frame: "pd.DataFrame", place: Place) -> NDArray[np.float32]:
    if not len(frame.columns):
        raise InputError(f"{place.text}: there is no column beside the target; at least one feature is needed")
    x = np.empty(frame.shape, dtype=np.float32)
    for i, (name, column) in enumerate(frame.items()):
        _check_name(str(name), i, place)
        x[:, i] = _numbers(column, place)
    return x


def _check_name(name: str, i: int, place: Place) -> None:
    # What a saved pandas index becomes. In a file sorted by class it would give the answer away.
    if not name or name.startswith(("Unnamed: ", "__index_level_")):
        raise InputError(
            f"{place.text}: feature column {i + 1} has no name{f' of its own ({name})' if name else ''}, as when row "
            "numbers were saved with the table; name it or drop it"
        )


def _numbers(column: "pd.Series[Any]", place: Place) -> NDArray[np.float64]:
    from pandas.api.types import infer_dtype

    if infer_dtype(column, skipna=True) not in _NUMERIC:
        raise InputError(
            f"{place.text}: column {column.name!r} is not numeric ({_first_word(column, place)}); encode it as "
            "numbers, or drop it"
        )
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~(np.abs(values) <= np.finfo(np.float32).max)
    if bad.any():
        kind = "missing" if np.isnan(values[bad][0]) else "infinite, or too large for 32 bits,"
        raise InputError(
            f"{place.text}: column {column.name!r}: the value is {kind} in {place.row(column.index[bad][0])}, and bad "
            f"in {int(bad.sum())} of {len(values)} rows in all; fill it or drop the row"
        )
    return values


def _first_word(column: "pd.Series[Any]", place: Place) -> str:
    import pandas as pd

    scalars = column.map(lambda value: value if isinstance(value, str | int | float) else str(value))
    words = column[pd.to_numeric(scalars, errors="coerce").isna() & column.notna()]
    if not len(words):
        return f"its type is {column.dtype}"
    return f"{str(words.iloc[0])[:40]!r} in {place.row(words.index[0])}"
