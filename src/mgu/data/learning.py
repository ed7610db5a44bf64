"""What a training split says about how its table becomes features; scikit-learn does the counting."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mgu.data.features import CategoryColumn, NumberColumn, TableFeatures
from mgu.data.places import Place
from mgu.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

#: A category of a smaller share of the rows that have one is rare.
MIN_SHARE = 0.01

#: At most so many columns for a column's categories, the one that the rare ones share included.
MAX_CATEGORIES = 50

#: More different values than this, or than this share of the rows, are no categories.
MAX_VALUES = 10_000
MAX_DIFFERENT = 0.9


def learn_features(cells: "pd.DataFrame", kinds: Mapping[str, str], place: Place) -> TableFeatures:
    """The features of a training split, given as ``mgu.data.features.read_cells`` returned it.

    Numbers: the median, and an indicator where values are missing. Categories: those that at least 1 % of the rows
    have, the most frequent first to be kept; the others share one column, and what is missing has its own.

    Raises InputError, naming the column, where all values are missing, where the values of a category are nearly all
    different or all rare, and where two features would get the same name.
    """
    for name in kinds:
        if cells[name].isna().all():
            raise InputError(
                f"{place.text}: column {name!r} is missing in all {len(cells)} rows of the training split; drop it"
            )
    numbers = {c.name: c for c in _numbers(cells[[name for name in kinds if kinds[name] == "number"]])}
    columns = (numbers[name] if kinds[name] == "number" else _category(cells[name], place) for name in kinds)
    features = TableFeatures(tuple(columns))
    _check_names(features, place)
    return features


def _numbers(cells: "pd.DataFrame") -> list[NumberColumn]:
    from sklearn.impute import SimpleImputer

    if not len(cells.columns):
        return []
    imputer = SimpleImputer(strategy="median", add_indicator=True).fit(cells.to_numpy())
    with_gaps = set(imputer.indicator_.features_.tolist())
    return [
        NumberColumn(name, median, indicator=i in with_gaps)
        for i, (name, median) in enumerate(zip(cells.columns, imputer.statistics_.tolist(), strict=True))
    ]


def _category(column: "pd.Series[Any]", place: Place) -> CategoryColumn:
    from sklearn.preprocessing import OneHotEncoder

    present = column[column.notna()]
    name = str(column.name)
    _check_values(name, present.nunique(), len(present), place)
    encoder = OneHotEncoder(min_frequency=MIN_SHARE, max_categories=MAX_CATEGORIES)
    encoder.fit(present.to_numpy(dtype=object)[:, None])
    (found,), (infrequent,) = encoder.categories_, encoder.infrequent_categories_
    rare = tuple(infrequent.tolist() if infrequent is not None else ())
    categories = tuple(value for value in found.tolist() if value not in set(rare))
    if not categories:
        raise _no_category(name, len(rare), len(present), place)
    return CategoryColumn(name, categories, rare, missing=len(present) < len(column))


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
