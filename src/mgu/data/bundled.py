"""The data sets that come with scikit-learn."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mgu.data.arrays import Decoded, Split, task_of
from mgu.data.places import FIRST_ROW, sheet
from mgu.data.query import Query
from mgu.data.tables import Table, decode_tables
from mgu.errors import InputError

#: By name, scikit-learn's function and its options. Not scaled: that would be by all rows, those of the test included.
BUNDLED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "digits": ("load_digits", {}),
    "iris": ("load_iris", {}),
    "wine": ("load_wine", {}),
    "breast_cancer": ("load_breast_cancer", {}),
    "diabetes": ("load_diabetes", {"scaled": False}),
}


def load_bundled(name: str, query: Query) -> Decoded | Table:
    """digits as images of (1, 8, 8), the others as tables; all uncut.

    Raises InputError for another task than the set's own, and where anything else is asked: these sets are whole.
    """
    from sklearn import datasets

    if query.target is not None:
        raise InputError(f"{name}: its target is given; target={query.target!r} cannot be chosen, leave it out")
    for option, value in (
        ("group", query.group),
        ("keep", query.keep),
        ("image_size", query.image_size),
        ("drop", query.drop),
    ):
        if value:
            raise InputError(f"{name}: a bundled set has no {option} to choose, but {value!r} was given; leave it out")
    function, options = BUNDLED[name]
    bunch = getattr(datasets, function)(**options)
    classes = tuple(str(label) for label in bunch.get("target_names", ()))
    if query.task not in (None, task_of(classes)):
        raise InputError(
            f"{name}: it is a set for {task_of(classes)}; task={query.task!r} cannot be chosen, leave it out"
        )
    return _digits(bunch, classes) if name == "digits" else _table(name, bunch, classes)


def _digits(bunch: Any, classes: tuple[str, ...]) -> Decoded:
    # Pixels are 0 to 16.
    x = np.rint(bunch.images[:, None] * 255 / 16).astype(np.uint8)
    return Decoded({"train": Split(x, bunch.target.astype(np.int64))}, classes)


def _table(name: str, bunch: Any, classes: tuple[str, ...]) -> Table:
    import pandas as pd

    frame = pd.DataFrame(bunch.data, columns=list(bunch.feature_names)).assign(target=bunch.target)
    frame.index += FIRST_ROW
    return decode_tables({"train": frame}, "target", classes or None, {"train": sheet(name)}, task_of(classes))
