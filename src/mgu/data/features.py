"""What a table's columns become as numbers: plain data, learned once and applied to any rows."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mgu.data.cells import READERS
from mgu.data.places import Place
from mgu.errors import InputError
from mgu.typed import checked

if TYPE_CHECKING:
    import pandas as pd

#: By column name, its values as their kind is read, (rows,).
Cells = Mapping[str, NDArray[Any]]

#: Where rows lie that come from no file.
ROWS = Place("the rows", "by the index of the frame")


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers less ``offset``: what is missing becomes ``median``, and where ``indicator``, 1 in a column
    of its own."""

    kind: ClassVar[str] = "number"

    name: str
    median: float
    indicator: bool
    offset: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """What the resulting columns are called."""
        return (self.name, f"{self.name}=(missing)") if self.indicator else (self.name,)

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows,), NaN where missing, to (rows, resulting columns)."""
        missing = np.isnan(values)
        filled = np.where(missing, self.median, values) - self.offset
        return np.stack([filled, missing][: len(self.names)], axis=1)


@dataclass(frozen=True)
class CategoryColumn:
    """A column of text: a 0/1 column for each of ``categories``, one for all ``rare`` ones, and where ``missing``, one
    for what is missing. A row whose category is none of these is 0 in all."""

    kind: ClassVar[str] = "category"

    name: str
    categories: tuple[str, ...]
    rare: tuple[str, ...]
    missing: bool

    @property
    def names(self) -> tuple[str, ...]:
        """What the resulting columns are called."""
        shared = ["(other)"] * bool(self.rare) + ["(missing)"] * self.missing
        return tuple(f"{self.name}={category}" for category in [*self.categories, *shared])

    def encode(self, values: NDArray[np.object_]) -> NDArray[np.bool_]:
        """(rows,), None where missing, to (rows, resulting columns)."""
        numbers: dict[str | None, int] = {category: i for i, category in enumerate(self.categories)}
        numbers |= dict.fromkeys(self.rare, len(self.categories))
        if self.missing:
            numbers[None] = len(self.names) - 1
        chosen = np.array([numbers.get(value, -1) for value in values], dtype=np.int64)
        return np.equal(chosen[:, None], np.arange(len(self.names)))


Column = NumberColumn | CategoryColumn

#: By the kind that JSON names, what a column is made from.
COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], Column]] = {
    "number": lambda c: NumberColumn(c["name"], c["median"], c["indicator"], c.get("offset", 0.0)),
    "category": lambda c: CategoryColumn(c["name"], tuple(c["categories"]), tuple(c["rare"]), c["missing"]),
}


@dataclass(frozen=True)
class TableFeatures:
    """How a table's columns become features, as learned from a training split; in the order of its columns."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What the features are called, one for each column of ``transform``."""
        return tuple(name for column in self.columns for name in column.names)

    def transform(self, frame: "pd.DataFrame", place: Place = ROWS) -> NDArray[np.float32]:
        """Any rows as features, (rows, features) float32, finite; columns are found by name, others left out.

        ``place`` names the rows in errors. Raises InputError for a column that is absent or there twice, for a value
        that is not of its column's kind, and for an infinite number, naming column and row.
        """
        return self.encode(read_cells(frame, {column.name: column.kind for column in self.columns}, place))

    def encode(self, cells: Cells) -> NDArray[np.float32]:
        """The same from what ``read_cells`` returned."""
        return self.encode_wide(cells).astype(np.float32)

    def encode_wide(self, cells: Cells) -> NDArray[np.float64]:
        """The same before it is narrowed to 32 bits."""
        return np.hstack([column.encode(cells[column.name]).astype(np.float64) for column in self.columns])

    def to_json(self) -> dict[str, Any]:
        """As what ``json`` can write."""
        return {"columns": [{"kind": column.kind, **asdict(column)} for column in self.columns]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "TableFeatures":
        """What ``to_json`` gave. Raises InputError where it is something else."""
        try:
            return cls(tuple(checked(COLUMNS[entry["kind"]](entry)) for entry in data["columns"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"these are no features of a table ({type(error).__name__}: {error}); give what to_json returned"
            ) from None


def read_cells(frame: "pd.DataFrame", kinds: Mapping[str, str], place: Place) -> Cells:
    """The columns that ``kinds`` names, as their kind is read; see ``TableFeatures.transform`` for what is raised."""
    names = [str(name) for name in frame.columns]
    for name in kinds:
        if names.count(name) != 1:
            fault = "more than one column is" if name in names else "no column is"
            raise InputError(
                f"{place.text}: {fault} called {name!r}; one is needed for each of the training split's columns: "
                f"{', '.join(kinds)}"
            )
    columns = {name: frame.iloc[:, names.index(name)] for name in kinds}
    return {name: READERS[kinds[name]](column, place) for name, column in columns.items()}
