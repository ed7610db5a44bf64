"""From a table to numbers that a network takes: gaps, categories and scales, as learned from the training rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype
from sklearn.utils.validation import validate_data

from mgu.data.cells import kind
from mgu.data.features import ROWS, NumberColumn, TableFeatures, read_cells
from mgu.data.learning import learn_features
from mgu.errors import InputError
from mgu.sklearn.rows import Floats

#: A table as it is read: numbers with NaN for gaps, (rows, columns), or a frame some columns of which are text.
Table = NDArray[np.float64] | pd.DataFrame


def has_text(table: Any) -> bool:
    """Whether it is a frame with a column that is not of numbers."""
    return isinstance(table, pd.DataFrame) and not all(is_numeric_dtype(dtype) for dtype in table.dtypes)


def read_table(estimator: Any, table: Any, *, mixed: bool, reset: bool) -> Table:
    """A table as the estimator takes it: numbers with NaN for gaps, or where ``mixed``, the frame itself.

    ``reset`` notes the number and names of its columns, with which later tables must agree. Raises what scikit-learn
    raises for tables of another shape or with other columns, sparse ones, and infinite numbers; and InputError for text
    among numbers, and for what is no frame where one is needed.
    """
    if mixed and not isinstance(table, pd.DataFrame):
        raise InputError(
            f"a {type(table).__name__} was given; the estimator was fitted on a pandas DataFrame with columns of text, "
            "give one with the same columns"
        )
    if mixed:
        validate_data(estimator, table, reset=reset, skip_check_array=True)
        return cast(pd.DataFrame, table)
    try:
        numbers: Table = validate_data(estimator, table, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
    except ValueError as error:
        if "could not convert string" in str(error):
            raise InputError(
                f"there is text among the numbers ({error}); fit on a pandas DataFrame, whose columns of text become "
                "categories"
            ) from None
        raise
    return numbers


def learn_table(table: Table, weight: Floats) -> TableFeatures:
    """What the columns become; the medians of an array's are those of the weighted rows.

    Raises InputError, naming the column, as ``mgu.data.learning.learn_features`` does.
    """
    if isinstance(table, np.ndarray):
        return TableFeatures(tuple(_number(i, column, weight) for i, column in enumerate(table.T)))
    kinds = {str(name): kind(table.iloc[:, i], ROWS) for i, name in enumerate(table.columns)}
    return learn_features(read_cells(table, kinds, ROWS), kinds, ROWS)


def encode(features: TableFeatures, table: Table) -> Floats:
    """The table as numbers without gaps, (rows, features)."""
    if not isinstance(table, np.ndarray):
        return features.encode_wide(read_cells(table, {column.name: column.kind for column in features.columns}, ROWS))
    columns = [column for column in features.columns if isinstance(column, NumberColumn)]
    gaps = np.isnan(table)
    filled = np.where(gaps, [column.median for column in columns], table)
    return np.hstack([filled, gaps[:, [column.indicator for column in columns]]])


@dataclass(frozen=True, eq=False)
class Scaling:
    """Numbers standardised, (x - mean) / std, and back; ``mean`` and ``std`` are of the last axis's size."""

    mean: Floats
    std: Floats

    @classmethod
    def learned(cls, values: Floats, weight: Floats) -> "Scaling":
        """That of the weighted rows, (rows, ...); the scale of what is constant is 1, and it becomes 0."""
        mean = np.average(values, axis=0, weights=weight)
        std = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weight))
        varies = std > np.finfo(np.float64).eps * np.abs(mean)
        return cls(np.where(varies, mean, values[0]), np.where(varies, std, 1.0))

    def apply(self, values: Floats) -> Floats:
        return (values - self.mean) / self.std

    def undo(self, values: Floats) -> Floats:
        return values * self.std + self.mean

    def to_json(self) -> dict[str, Any]:
        """As what ``json`` can write."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Scaling":
        """What ``to_json`` gave."""
        return cls(np.asarray(data["mean"], np.float64), np.asarray(data["std"], np.float64))


def median(values: Floats, weight: Floats) -> float:
    """The median of numbers (rows,) of which each is there ``weight`` times, (rows,), all above 0."""
    order = np.argsort(values, kind="stable")
    values, reached = values[order], np.cumsum(weight[order])
    low, high = (np.searchsorted(reached, reached[-1] / 2, side) for side in ("left", "right"))
    return float((values[low] + values[min(high, len(values) - 1)]) / 2)


def _number(index: int, values: Floats, weight: Floats) -> NumberColumn:
    there = ~np.isnan(values)
    present = values[there]
    if not len(present):
        raise InputError(f"column {index} is missing in all {len(values)} rows; drop it")
    return NumberColumn(f"x{index}", median(present, weight[there]), len(present) < len(values))
