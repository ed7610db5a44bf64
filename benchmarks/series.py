"""How a cost grows: what was measured at each size, and the straight line and the power through it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np


@dataclass(frozen=True)
class Fit:
    """The line ``slope * x + intercept`` of least squares, with R² = 1 - the squared errors' share of the variance; and
    the exponent p of c * x^p, by the line of least squares through the logarithms: of all points, and of the last two,
    where what is small and constant weighs least. 1 is a cost that grows in proportion, 2 is quadratic."""

    slope: float
    intercept: float
    r2: float
    exponent: float
    last_exponent: float


@dataclass(frozen=True)
class Series:
    """What was measured, column by column, at each of the sizes: numbers above 0."""

    title: str
    size: str
    sizes: Sequence[float]
    columns: Mapping[str, Sequence[float]]

    @property
    def fits(self) -> dict[str, Fit]:
        return {name: fit(self.sizes, values) for name, values in self.columns.items()}

    @property
    def text(self) -> str:
        """A row a size, then a row a figure of the fits."""
        names = list(self.columns)
        rows = [[f"{size:g}", *(f"{self.columns[name][i]:.4g}" for name in names)] for i, size in enumerate(self.sizes)]
        fits = [
            [label, *(f"{getattr(one, field):.4g}" for one in self.fits.values())] for field, label in _FITTED.items()
        ]
        widths = [max(map(len, column)) + 2 for column in zip([self.size, *names], *rows, *fits, strict=True)]
        lines = ["".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows + fits]
        head = "".join(f"{cell:>{width}}" for cell, width in zip([self.size, *names], widths, strict=True))
        rule = "-" * sum(widths)
        return "\n".join([self.title, "", head, *lines[: len(rows)], rule, *lines[len(rows) :], ""])


_FITTED = {
    "slope": "slope",
    "intercept": "intercept",
    "r2": "R²",
    "exponent": "exponent",
    "last_exponent": "of the last two",
}


def fit(x: Sequence[float], y: Sequence[float]) -> Fit:
    """The fit through points; two at least, of different x, and all above 0."""
    slope, intercept = np.polyfit(x, y, 1)
    errors = np.asarray(y) - slope * np.asarray(x) - intercept
    spread = float(np.var(y))
    r2 = 1 - float(np.mean(errors**2)) / spread if spread else 1.0
    exponent = np.polyfit(np.log(x), np.log(y), 1)[0]
    return Fit(float(slope), float(intercept), r2, float(exponent), log(y[-1] / y[-2]) / log(x[-1] / x[-2]))
