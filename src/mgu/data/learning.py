"""What a training split says about how its table becomes features; scikit-learn does the counting."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mgu.data.features import CategoryColumn, Cells, NumberColumn, TableFeatures
from mgu.data.places import Place
from mgu.errors import InputError

#: A category of a smaller share of the rows that have one is rare.
MIN_SHARE = 0.01

#: Numbers that are larger than so many of their deviations are taken less their median: 32 bits, of 7 digits, would
#: leave little of what they differ by.
MOST_DEVIATIONS = 1e4

#: At most so many columns for a column's categories, the one that the rare ones share included.
MAX_CATEGORIES = 50

#: More different values than this, or than this share of the rows, are no categories.
MAX_VALUES = 10_000
MAX_DIFFERENT = 0.9


def learn_features(cells: Cells, kinds: Mapping[str, str], place: Place) -> TableFeatures:
    """The features of a training split, given as ``mgu.data.features.read_cells`` returned it.

    Numbers: the median, an indicator where values are missing, and the median once more as an offset where 32 bits do
    not hold what they differ by, as in times in seconds since 1970. Categories: those that at least 1 % of the rows
    have, the most frequent first to be kept; the others share one column, and what is missing has its own.

    Raises InputError, naming the column, where all values are missing, where the values of a category are nearly all
    different or all rare, and where two features would get the same name.
    """
    _check_present(cells, place)
    numbers = {column.name: column for column in _numbers([name for name in kinds if kinds[name] == "number"], cells)}
    columns = (numbers[name] if name in numbers else _category(name, cells[name], place) for name in kinds)
    features = TableFeatures(tuple(columns))
    _check_names(features, place)
    return features


def _check_present(cells: Cells, place: Place) -> None:
    import pandas as pd

    for name, values in cells.items():
        if pd.isna(values).all():
            raise InputError(
                f"{place.text}: column {name!r} is missing in all {len(values)} rows of the training split; drop it"
            )


def _numbers(names: Sequence[str], cells: Cells) -> list[NumberColumn]:
    from sklearn.impute import SimpleImputer

    if not names:
        return []
    imputer = SimpleImputer(strategy="median", add_indicator=True).fit(np.stack([cells[n] for n in names], axis=1))
    with_gaps = set(imputer.indicator_.features_.tolist())
    medians = imputer.statistics_.tolist()
    return [
        NumberColumn(name, medians[i], i in with_gaps, _offset(cells[name], medians[i])) for i, name in enumerate(names)
    ]


def _offset(values: NDArray[np.float64], median: float) -> float:
    """The median where the numbers are large against their deviation, else 0."""
    present = values[~np.isnan(values)]
    deviation, largest = float(present.std()), float(np.abs(present).max())
    is_lost = np.ptp(present) > 0 and largest > MOST_DEVIATIONS * deviation
    return median if is_lost else 0.0


def _category(name: str, values: NDArray[np.object_], place: Place) -> CategoryColumn:
    from sklearn.preprocessing import OneHotEncoder

    present = np.array([value for value in values if value is not None], dtype=object)
    _check_values(name, len(set(present)), len(present), place)
    encoder = OneHotEncoder(min_frequency=MIN_SHARE, max_categories=MAX_CATEGORIES).fit(present[:, None])
    (found,), (infrequent,) = encoder.categories_, encoder.infrequent_categories_
    rare = tuple(infrequent.tolist() if infrequent is not None else ())
    categories = tuple(value for value in found.tolist() if value not in set(rare))
    if not categories:
        raise _no_category(name, len(rare), len(present), place)
    return CategoryColumn(name, categories, rare, missing=len(present) < len(values))


def _check_values(name: str, values: int, rows: int, place: Place) -> None:
    if values > MAX_VALUES or (values > 2 and values > MAX_DIFFERENT * rows):
        raise _no_category(name, values, rows, place)


def _no_category(name: str, values: int, rows: int, place: Place) -> InputError:
    return InputError(
        f"{place.text}: column {name!r} has {values} different values in {rows} rows of the training split, as an id, "
        f"a name or free text has; drop it, or group its values into categories of at least {MIN_SHARE:.0%} of the rows"
    )


def _check_names(features: TableFeatures, place: Place) -> None:
    name, count = Counter(features.names).most_common(1)[0]
    if count > 1:
        raise InputError(f"{place.text}: {count} features would be called {name!r}; rename the column of that name")
