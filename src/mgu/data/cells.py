"""From one column of a table as it was read to numbers or texts, with gaps where values are missing."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mgu.data.places import Place
from mgu.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_NUMERIC = ("boolean", "integer", "floating", "mixed-integer-float", "decimal", "empty")
_TEXT = ("string", "categorical")
_DATES = ("datetime64", "datetime", "date", "time", "timedelta64", "timedelta", "period")

#: Text that holds more different numbers than this is a column of numbers gone wrong, not of categories.
MAX_NUMBER_WORDS = 20

#: Text of more letters is no category, and no name of a column.
MAX_LETTERS = 10_000

#: The square of a number of so many deviations is finite in 32 bits.
MOST_DEVIATIONS = 1e15

#: 64 bits hold every whole number up to this one, and not all beyond.
MOST_WHOLE = 2**53

#: 2024-01-31, 31.1.2024 or 1/31/24, with or without a time.
_DATE = r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T]\d{1,2}:.*)?"

#: 1,23 or 1 234.5 or 1.23 % or 1,234 €.
_DRESSED = r"[-+$€£]?\s*\d[\d.,' ]*\s*[%€$£]?"


def kind(column: "pd.Series[Any]", place: Place) -> str:
    """ "number" (booleans too: 0 and 1) or "category" (text), by the type of the values.

    Raises InputError for dates, for text that should be numbers, and for values that are neither or of both types.
    """
    from pandas.api.types import infer_dtype

    inferred = infer_dtype(column, skipna=True)
    if inferred in _NUMERIC:
        return "number"
    if inferred in _DATES:
        raise _dates(column, place)
    if inferred not in _TEXT:
        raise InputError(
            f"{place.text}: column {column.name!r} is neither all numbers nor all text ({_first_word(column, place)}); "
            "make it one of them, or drop it"
        )
    _check_text(column, place)
    return "category"


def numbers(column: "pd.Series[Any]", place: Place) -> NDArray[np.float64]:
    """The values, (rows,) float64, and NaN where they are missing.

    Raises InputError for what is not a number, for one that is infinite or too large for 32 bits, and for whole numbers
    that differ by less than 64 bits hold.
    """
    from pandas.api.types import infer_dtype

    if infer_dtype(column, skipna=True) not in _NUMERIC:
        raise InputError(
            f"{place.text}: column {column.name!r} is not numeric ({_first_word(column, place)}); correct the value, "
            "or drop the column"
        )
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.abs(values) > np.finfo(np.float32).max
    if bad.any():
        raise InputError(
            f"{place.text}: column {column.name!r}: the value is infinite, or too large for 32 bits, in "
            f"{place.row(column.index[bad][0])}, and in {int(bad.sum())} of {len(values)} rows in all; correct it, or "
            "leave it empty where it is not known"
        )
    _check_distinct(column, values, place)
    return values


def check_spread(what: str, train: NDArray[Any], every: NDArray[Any], place: str) -> None:
    """Raise InputError, naming ``what`` and the ``place``, where numbers (rows,) cannot be standardised in 32 bits by
    the mean and the deviation of those to train on: where ``every`` one's range, or that deviation, is none of 32 bits,
    or one is more than ``MOST_DEVIATIONS`` from the mean. NaN is none."""
    train, every = (values[~np.isnan(values)].astype(np.float64) for values in (train, every))
    low, high, mean, deviation = every.min(), every.max(), train.mean(), train.std()
    limits = np.finfo(np.float32)
    if high - low > limits.max:
        fault = f"a range of more than {limits.max:.2g}, the most that 32 bits hold"
    elif 0 < deviation < limits.tiny:
        fault = f"a deviation of {deviation:.2g}, and {limits.tiny:.2g} is the least that 32 bits hold"
    elif np.abs(every - mean).max() > MOST_DEVIATIONS * (deviation or 1.0):
        fault = f"more than {MOST_DEVIATIONS:g} deviations of the training split, of {deviation:.2g}, apart"
    else:
        return
    raise InputError(
        f"{place}: {what} is from {low:.4g} to {high:.4g}, {fault}; correct its values, or give them in another unit"
    )


def texts(column: "pd.Series[Any]", place: Place) -> NDArray[np.object_]:
    """The values as text, (rows,), and None where they are missing.

    Raises InputError for what is neither text nor a number.
    """
    from pandas.api.types import infer_dtype

    if infer_dtype(column, skipna=True) not in (*_TEXT, *_NUMERIC):
        raise InputError(
            f"{place.text}: column {column.name!r} is not text ({_first_word(column, place)}), as it is in training; "
            "make it text there, or drop the column"
        )
    missing = column.isna().to_numpy()
    values = [None if gap else as_text(value) for value, gap in zip(column.tolist(), missing, strict=True)]
    return np.array(values, dtype=object)


#: By kind, how its columns are read.
READERS: Mapping[str, Callable[["pd.Series[Any]", Place], NDArray[Any]]] = {"number": numbers, "category": texts}


def as_text(value: object) -> str:
    """The value as people write it: 1.0 as 1, since a column of whole numbers with a gap is read as floats, and no
    blanks around it."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _check_distinct(column: "pd.Series[Any]", values: NDArray[np.float64], place: Place) -> None:
    import pandas as pd

    if column.dtype.kind == "f" or not (np.abs(values) > MOST_WHOLE).any():
        return
    merged = np.flatnonzero(pd.Series(values).duplicated().to_numpy() & ~(column.duplicated() | column.isna()))
    if len(merged):
        first = int(merged[0])
        raise InputError(
            f"{place.text}: column {column.name!r}: {column.iloc[first]} in {place.row(column.index[first])} is the "
            f"same as another value in 64 bits, which hold whole numbers up to {MOST_WHOLE:,}; take one number off all "
            "of them, drop the column, or give codes a letter in front"
        )


def _check_text(column: "pd.Series[Any]", place: Place) -> None:
    import pandas as pd

    words = column.dropna().astype(str).drop_duplicates()
    long = words.str.len() > MAX_LETTERS
    if long.any():
        raise InputError(
            f"{place.text}: column {column.name!r} has a text of {len(words[long].iloc[0]):,} letters in "
            f"{place.row(words.index[long][0])}; a category has at most {MAX_LETTERS:,}: shorten it, or drop the column"
        )
    if len(words) and words.str.fullmatch(_DATE).all():
        raise _dates(column, place)
    is_number = pd.to_numeric(words, errors="coerce").notna()
    is_dressed = words.str.fullmatch(_DRESSED) & ~is_number
    if is_dressed.sum() > max(MAX_NUMBER_WORDS, len(words) / 2):
        raise InputError(
            f"{place.text}: column {column.name!r} holds {int(is_dressed.sum())} different numbers with a comma, a "
            f"space, % or a currency ({_first_word(column, place)}); write them plainly, such as 1234.5"
        )
    if is_number.sum() <= max(MAX_NUMBER_WORDS, (~is_number).sum()):
        return
    if is_number.all():
        raise InputError(
            f"{place.text}: column {column.name!r} holds {len(words)} different numbers as text; save a quantity as "
            "numbers, and give codes a letter in front"
        )
    raise InputError(
        f"{place.text}: column {column.name!r} is not numeric ({_first_word(column, place)}), but most of its values "
        "are numbers; correct the others, leave them empty where they are not known, or drop the column"
    )


def _dates(column: "pd.Series[Any]", place: Place) -> InputError:
    first = column.dropna()
    return InputError(
        f"{place.text}: column {column.name!r} holds dates or times ({str(first.iloc[0])[:40]!r} in "
        f"{place.row(first.index[0])}); replace it by numbers, such as the year, the month or the days since a fixed "
        "day, or drop it"
    )


def _first_word(column: "pd.Series[Any]", place: Place) -> str:
    import pandas as pd

    scalars = column.astype(object).map(lambda value: value if isinstance(value, str | int | float) else str(value))
    words = column[pd.to_numeric(scalars, errors="coerce").isna() & column.notna()]
    if not len(words):
        return f"its type is {column.dtype}"
    return f"{str(words.iloc[0])[:40]!r} in {place.row(words.index[0])}"
