"""What an estimator learns from: rows with weights, each row once, and the part of them that is held out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Features (rows, features), targets (rows,), class numbers or quantities, and weights (rows,), all above 0."""

    x: Floats
    y: Floats
    weight: Floats

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, part: NDArray[Any]) -> "Rows":
        return Rows(self.x[part], self.y[part], self.weight[part])


def distinct(x: Floats, y: Floats, weight: Floats) -> Rows:
    """The rows in the order of their values, equal ones as one whose weight is their sum, without those of weight 0.

    So a row of weight 2 is two rows, their order is of no matter, and no row is both learned from and held out.
    """
    found, inverse = np.unique(np.column_stack([x, y])[weight > 0] + 0.0, axis=0, return_inverse=True)
    total: Floats = np.bincount(inverse.ravel(), weight[weight > 0], len(found)).astype(np.float64)
    return Rows(found[:, :-1], found[:, -1], total)


def hold_out(y: Floats, share: float, classes: int, seed: int) -> NDArray[np.bool_]:
    """Which rows are held out, (rows,): of the rows in the order of their targets, every k-th, k = round(1 / share).

    That is stratified, by classes and by a quantity alike; rows of equal targets are in a random order. Of a class
    (``classes`` is 0 for a quantity) that has a single row none is held out.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    every = max(2, round(1 / share))
    held = np.zeros(len(y), dtype=np.bool_)
    held[order[rng.integers(every) :: every]] = True
    if classes:
        held &= np.bincount(y.astype(np.int64), minlength=classes)[y.astype(np.int64)] > 1
    return held
