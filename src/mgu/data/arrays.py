"""What data is once decoded: arrays, split by split."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgu.data.features import TableFeatures
from mgu.data.mapped import Mapped, pieces
from mgu.data.query import Query

Floats = NDArray[np.float32]

#: An index into the classes, or a quantity.
Target = NDArray[np.int64] | NDArray[np.float32]

#: Names of the groups that samples are of, such as a patient's or a case's.
Groups = NDArray[np.str_]


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Samples and their targets.

    ``x`` is (samples, channels, *positions) uint8 for images, mapped where they are too many for memory, and (samples,
    features) float32 for tables; ``y`` is
    (samples,): int64, an index into the classes, or for regression float32. ``groups`` (samples,) names the group of
    each sample, such as a case; None where the data has none.
    """

    x: NDArray[Any] | Mapped
    y: Target
    groups: Groups | None = None

    def __repr__(self) -> str:
        return f"<Split of {len(self.y):,} samples: x {self.x.shape} {self.x.dtype}, y {self.y.dtype}>"

    def take(self, rows: NDArray[np.int64]) -> "Split":
        """The samples at these positions, copied where they are in memory."""
        x = self.x.take(rows) if isinstance(self.x, Mapped) else self.x[rows]
        return Split(x, self.y[rows], None if self.groups is None else self.groups[rows])


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of one of a source's splits, in its order."""

    split: str
    rows: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> "Part":
        """The rows at these positions of the part."""
        return Part(self.split, self.rows[np.sort(rows)])


@dataclass(frozen=True, eq=False)
class Decoded:
    """Images that a source holds, uncut: "train", and "validation" and "test" where it has them. ``group`` is the
    column that the groups are from."""

    splits: Mapping[str, Split]
    classes: tuple[str, ...]
    group: str | None = None

    @property
    def y(self) -> dict[str, Target]:
        """The targets, by split."""
        return {role: split.y for role, split in self.splits.items()}

    @property
    def groups(self) -> dict[str, Groups]:
        """The groups, by split; nothing where there are none."""
        return {role: split.groups for role, split in self.splits.items() if split.groups is not None}

    def take(self, parts: Mapping[str, Part]) -> tuple[dict[str, Split], None]:
        """The parts, copied where they are not a whole split; images have no features to learn."""
        return {role: self._part(part) for role, part in parts.items()}, None

    def _part(self, part: Part) -> Split:
        whole = self.splits[part.split]
        return whole if len(part.rows) == len(whole.y) else whole.take(part.rows)


@dataclass(frozen=True, eq=False, repr=False)
class DataSet:
    """Three disjoint splits, and the names of the classes that their labels index; none for regression.

    ``checksum`` is the SHA-256 of the arrays, shapes, dtypes, classes, and groups where there are: equal for equal
    data, wherever it lay.
    ``task`` is "classification" or "regression". ``features`` say how a table's columns became x, and what to make of
    new rows; None for images. ``note`` says what of the source was taken, and what it was split by;
    ``query`` is what was asked of it.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    checksum: str
    task: str = "classification"
    features: TableFeatures | None = None
    note: str = ""
    query: Query = field(default_factory=Query)

    def __repr__(self) -> str:
        train, validation, test = (f"{len(split.y):,}" for split in self.splits)
        answers = f"{len(self.classes)} classes" if self.classes else "a quantity"
        return (
            f"<DataSet {self.short_name}: {train} training, {validation} validation, {test} test samples of shape "
            f"{self.input_shape}; {answers}>"
        )

    @property
    def short_name(self) -> str:
        """The last part of its path or id."""
        path = Path(self.name).resolve()
        return path.stem if path.suffix.lower() in (".csv", ".parquet") else path.name

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample: (channels, *positions), or (features,)."""
        return self.train.x.shape[1:]

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """Train, validation and test."""
        return self.train, self.validation, self.test

    @property
    def mean(self) -> Floats:
        """(channels,) on the scale 0 to 255 for images, (features,) for tables; over the training split alone."""
        return self._moments[0]

    @property
    def std(self) -> Floats:
        """The standard deviation, in the shape of ``mean``; 1 where a channel or feature is constant."""
        return self._moments[1]

    @property
    def target_mean(self) -> float:
        """The mean of the training split's targets, in their unit; 0 for classification."""
        return self._target_moments[0]

    @property
    def target_std(self) -> float:
        """Their standard deviation, in their unit; 1 for classification, and where they are all equal."""
        return self._target_moments[1]

    @cached_property
    def _target_moments(self) -> tuple[float, float]:
        if self.task == "classification":
            return 0.0, 1.0
        y = self.train.y.astype(np.float64)
        return float(y.mean()), float(y.std()) or 1.0

    @cached_property
    def _moments(self) -> tuple[Floats, Floats]:
        x = self.train.x
        mean, std = _image_moments(x) if x.dtype == np.uint8 else _table_moments(np.asarray(x))
        narrow = std.astype(np.float32)
        return mean.astype(np.float32), np.where(narrow > 0, narrow, np.float32(1))


def task_of(classes: tuple[str, ...]) -> str:
    """What targets of these classes are for: "classification", or "regression" where there are none."""
    return "classification" if classes else "regression"


def checksum(splits: Mapping[str, Split], classes: tuple[str, ...]) -> str:
    """The SHA-256 of what the splits hold, in the order train, validation, test."""
    digest = hashlib.sha256(json.dumps(classes).encode())
    for role in ("train", "validation", "test"):
        for array in (splits[role].x, splits[role].y):
            digest.update(f"{role} {array.dtype.str} {array.shape}".encode())
            for piece in pieces(array):
                digest.update(np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data)
        groups = splits[role].groups
        if groups is not None:
            digest.update(f"{role} groups {json.dumps(groups.tolist())}".encode())
    return digest.hexdigest()


def _image_moments(x: NDArray[np.uint8] | Mapped) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # From histograms: exact, and without a copy of all images as floats.
    values = np.arange(256)
    counts = np.zeros((x.shape[1], 256), dtype=np.int64)
    for piece in pieces(x):
        counts += [np.bincount(channel.ravel(), minlength=256) for channel in piece.swapaxes(0, 1)]
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = (counts @ values) / counts.sum(axis=1)
    return mean, np.sqrt((shares * (values - mean[:, None]) ** 2).sum(axis=1))


def _table_moments(x: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # In 64 bits, sums of 32-bit numbers are exact: a constant feature has a deviation of 0, not just above.
    wide = x.astype(np.float64)
    return wide.mean(axis=0), wide.std(axis=0)
