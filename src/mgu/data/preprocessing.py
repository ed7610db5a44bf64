"""What new data must be made into before a trained network takes it: plain data, taken from the training data."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mgu.data.arrays import DataSet, Floats
from mgu.data.features import CategoryColumn, NumberColumn, TableFeatures
from mgu.data.query import Query, read_keep, read_size
from mgu.errors import InputError
from mgu.typed import check

#: No sample holds more numbers: what a model's folder says must not take all memory.
MOST_NUMBERS = 2**28


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """The shape of one sample, (channels, height, width) or (features,); the training split's ``mean`` and ``std``, by
    channel or feature; the classes in the order of the network's outputs, none for regression; the mean and deviation
    of the quantity, in its unit; how a table's columns become features, None for images; and what was asked of the
    source: the target's column, the size of images, ...
    """

    input_shape: tuple[int, ...]
    mean: Floats
    std: Floats
    classes: tuple[str, ...] = ()
    target_mean: float = 0.0
    target_std: float = 1.0
    features: TableFeatures | None = None
    query: Query = field(default_factory=Query)

    @classmethod
    def of(cls, data: DataSet) -> "Preprocessing":
        """That of a data set."""
        moments = data.mean, data.std, data.classes, data.target_mean, data.target_std
        return cls(data.input_shape, *moments, data.features, data.query)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON data."""
        return {
            "input_shape": list(self.input_shape),
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
            "classes": list(self.classes),
            "target_mean": self.target_mean,
            "target_std": self.target_std,
            "features": self.features.to_json() if self.features else None,
            "query": json.loads(json.dumps(asdict(self.query))),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Preprocessing":
        """What ``to_json`` gave. Raises InputError for anything else, and for parts that do not fit one another."""
        try:
            for name, kind in _KINDS.items():
                check(data[name], kind, name)
            features = TableFeatures.from_json(data["features"]) if data["features"] is not None else None
            found = cls(
                tuple(data["input_shape"]),
                _floats(data["mean"]),
                _floats(data["std"]),
                tuple(data["classes"]),
                float(data["target_mean"]),
                float(data["target_std"]),
                features,
                _query(data["query"]),
            )
            return found._checked()
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise InputError(f"this is no preprocessing of a model: {type(error).__name__} {error}") from None

    def _checked(self) -> "Preprocessing":
        shape, size, numbers = self.input_shape, self.query.image_size, (self.target_mean, self.target_std)
        faults = {
            "input_shape": len(shape) != (1 if self.features else 3)
            or min(shape) < 1
            or math.prod(shape) > MOST_NUMBERS,
            "mean": self.mean.shape != shape[:1],
            "std": self.std.shape != shape[:1] or not (self.std > 0).all(),
            "classes": len(self.classes) == 1 or not all(isinstance(name, str) for name in self.classes),
            "target_mean or target_std": not all(map(math.isfinite, numbers)) or self.target_std <= 0,
            "features": self.features is not None and not _fits(self.features, shape),
            "image_size": size is not None and size != shape[1:],
        }
        wrong = [name for name, is_wrong in faults.items() if is_wrong]
        if wrong:
            raise InputError(f"{', '.join(wrong)} of its preprocessing cannot be, or does not fit the rest")
        return self


#: Of what kind the entries are that are no tables.
_KINDS: Mapping[str, Any] = {
    "input_shape": list[int],
    "mean": list[float],
    "std": list[float],
    "classes": list[str],
    "target_mean": float,
    "target_std": float,
}


def _fits(features: TableFeatures, shape: tuple[int, ...]) -> bool:
    if not all(math.isfinite(column.offset) for column in features.columns if isinstance(column, NumberColumn)):
        return False
    texts = [column.name for column in features.columns]
    for column in features.columns:
        texts += [*column.categories, *column.rare] if isinstance(column, CategoryColumn) else []
    return all(isinstance(text, str) for text in texts) and (len(features.names),) == shape


def _floats(numbers: Any) -> Floats:
    wide = np.array(numbers, dtype=np.float64)
    if not (np.abs(wide) <= np.finfo(np.float32).max).all():
        raise ValueError("a number is not finite in 32 bits")
    return wide.astype(np.float32)


def _query(data: Mapping[str, Any]) -> Query:
    target, task, group, drop = (data[key] for key in ("target", "task", "group", "drop"))
    if not all(isinstance(name, str | None) for name in (target, task, group, *drop)):
        raise ValueError("columns go by names")
    return Query(target, task, group, read_keep(data["keep"]), read_size(data["image_size"]), tuple(drop))
