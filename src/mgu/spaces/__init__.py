"""Search spaces: the plain cells and layouts of a grid, and the MGU network that stands against them.

A space is a TOML file; the bundled ones lie beside this module and are written as a user's own would be.
"""

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from mgu.errors import InputError
from mgu.layouts import LayerPlan, Layout, plan_layers
from mgu.wiring import CELL_NORMS

#: No count in a space (filters, kernel, classes, positions) may be larger.
MAX_COUNT = 1_000_000
#: A prefix begins the names of folders: it has at most so many bytes in UTF-8.
MAX_PREFIX = 60
#: A space has at most so many models.
MAX_MODELS = 10_000


@dataclass(frozen=True)
class Cell:
    """A plain cell of the grid: where the norm stands, and whether a second transformation of the input is added."""

    norm: str
    residual: bool

    @classmethod
    def of(cls, text: str) -> "Cell":
        """Read ``norm`` or ``norm+residual``; raise InputError for anything else."""
        norm, plus, residual = text.partition("+")
        if norm not in CELL_NORMS or (plus and residual != "residual"):
            raise InputError(f'unknown cell {text!r}; allowed: {", ".join(CELL_NORMS)}, each alone or with "+residual"')
        return cls(norm, bool(plus))

    def __str__(self) -> str:
        return self.norm + "+residual" * self.residual


@dataclass(frozen=True)
class Architecture:
    """All that a network is built from, but its input shape and classes. ``cell=None`` is an MGU network."""

    layout: Layout
    cell: Cell | None = None
    activation: str = "selu"
    dropout: float = 0.3
    kernel_size: int = 3
    start_filters: int = 32
    max_filters: int = 1024

    def plan(self, input_shape: tuple[int, ...]) -> tuple[LayerPlan, ...]:
        """The layers on inputs of ``input_shape`` (channels, *positions); see ``mgu.layouts.plan_layers``."""
        return plan_layers(
            self.layout,
            input_shape,
            start_filters=self.start_filters,
            max_filters=self.max_filters,
            kernel_size=self.kernel_size,
        )


@dataclass(frozen=True)
class SearchSpace:
    """A grid of cells x layouts, and the layouts of its MGU networks; the file's keys are the fields.

    ``prefix`` begins the model names (MNI_001, MNI_MGU_001). ``input_shape`` (channels, *positions) and ``classes``
    size the networks where no data set is at hand.
    """

    prefix: str
    input_shape: tuple[int, ...]
    classes: int
    layouts: tuple[Layout, ...]
    mgu_layouts: tuple[Layout, ...]
    cells: tuple[Cell, ...]
    activation: str = "selu"
    dropout: float = 0.3
    kernel_size: int = 3
    start_filters: int = 32
    max_filters: int = 1024

    def models(self) -> dict[str, Architecture]:
        """Every architecture by model name: the grid, layout by layout, then the MGU networks."""
        shared = {f.name: getattr(self, f.name) for f in fields(Architecture) if f.name not in ("layout", "cell")}
        grid = [(layout, cell) for layout in self.layouts for cell in self.cells]
        plain = {f"{self.prefix}_{i:03d}": Architecture(*pair, **shared) for i, pair in enumerate(grid, 1)}
        mgu = {
            f"{self.prefix}_MGU_{i:03d}": Architecture(layout, **shared) for i, layout in enumerate(self.mgu_layouts, 1)
        }
        return plain | mgu

    def check(self, input_shape: tuple[int, ...]) -> None:
        """Raise InputError, naming the model and the layer, where a layout does not fit inputs of this shape."""
        for name, architecture in self.models().items():
            try:
                architecture.plan(input_shape)
            except InputError as error:
                raise InputError(f"{name}: {error}") from None


def bundled_spaces() -> list[str]:
    """The names of the spaces that come with the package."""
    return sorted(p.name.removesuffix(".toml") for p in resources.files(__name__).iterdir() if p.name.endswith(".toml"))


def load_space(name: str) -> SearchSpace:
    """A bundled space by name, or one's own from the path of a TOML file.

    Raises InputError where there is no such space, or where the file is not a space, naming the key.
    """
    bundled = resources.files(__name__) / f"{name}.toml"
    if name in bundled_spaces():
        return parse_space(bundled.read_text(encoding="utf-8"), name)
    path = Path(name)
    if not path.is_file():
        raise InputError(
            f"unknown space {name!r}: it is neither bundled ({', '.join(bundled_spaces())}) nor a TOML file here"
        )
    try:
        return parse_space(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"space {name}: cannot be read as text: {error}") from None


def parse_space(text: str, source: str) -> SearchSpace:
    """A space from TOML text; ``source`` names it in errors. Raises InputError for missing, unknown and wrong keys."""
    try:
        table = tomllib.loads(text)
        _check_keys(table)
        space = SearchSpace(**{key: _READERS[key](key, value) for key, value in table.items()})
        _check_models(space)
        return space
    except InputError as error:
        raise InputError(f"space {source}: {error}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, and lists in lists in lists
        raise InputError(f"space {source}: not valid TOML: {error}") from None


def _check_keys(table: Mapping[str, Any]) -> None:
    required = ("prefix", "input_shape", "classes", "layouts", "mgu_layouts", "cells")
    missing = [key for key in required if key not in table]
    unknown = [key for key in table if key not in _READERS]
    if missing or unknown:
        faults = [f"missing keys {missing}"] * bool(missing) + [f"unknown keys {unknown}"] * bool(unknown)
        raise InputError(f"{' and '.join(faults)}; allowed: {', '.join(_READERS)}")


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.replace("_", "").replace("-", "").isalnum():
        raise InputError(f"{key} must be a name of letters, digits, - and _; {value!r} was given")
    return value


def _whole(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{key} must be a whole number of at least 1; {value!r} was given")
    if value > MAX_COUNT:
        raise InputError(f"{key} must be at most {MAX_COUNT}; {value} was given")
    return value


def _fraction(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise InputError(f"{key} must be a number from 0 to below 1; {value!r} was given")
    return float(value)


def _several(key: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise InputError(f"{key} must be a list of at least one entry; {value!r} was given")
    return value


def _layouts(key: str, value: Any) -> tuple[Layout, ...]:
    return _distinct(key, [Layout.of(_several(key, numbers)) for numbers in _several(key, value)])


def _cells(key: str, value: Any) -> tuple[Cell, ...]:
    return _distinct(key, [Cell.of(str(cell)) for cell in _several(key, value)])


def _distinct(key: str, entries: list[Any]) -> tuple[Any, ...]:
    twice = next((entry for entry, count in Counter(entries).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{key} has {twice} more than once; name each once")
    return tuple(entries)


def _check_models(space: SearchSpace) -> None:
    count = len(space.layouts) * len(space.cells) + len(space.mgu_layouts)
    if count > MAX_MODELS:
        raise InputError(
            f"{len(space.layouts)} layouts with {len(space.cells)} cells each and {len(space.mgu_layouts)} mgu_layouts "
            f"are {count} models; at most {MAX_MODELS} are allowed: make it several spaces"
        )


def _prefix(key: str, value: Any) -> str:
    if "MGU" in _text(key, value).upper():
        raise InputError(f"{key} must not contain MGU, which marks the MGU networks; {value!r} was given")
    if (size := len(value.encode())) > MAX_PREFIX:
        raise InputError(f"{key} must have at most {MAX_PREFIX} bytes in UTF-8; {value[:20]!r}... of {size} was given")
    return str(value)


_READERS: Mapping[str, Any] = {
    "prefix": _prefix,
    "input_shape": lambda key, value: tuple(_whole(key, n) for n in _several(key, value)),
    "classes": _whole,
    "layouts": _layouts,
    "mgu_layouts": _layouts,
    "cells": _cells,
    "activation": _text,
    "dropout": _fraction,
    "kernel_size": _whole,
    "start_filters": _whole,
    "max_filters": _whole,
}
