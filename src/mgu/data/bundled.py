"""The data sets that come with scikit-learn."""

import numpy as np

from mgu.data.arrays import Decoded, Split
from mgu.errors import InputError

#: By name, scikit-learn's function.
BUNDLED = {
    "digits": "load_digits",
    "iris": "load_iris",
    "wine": "load_wine",
    "breast_cancer": "load_breast_cancer",
}


def load_bundled(name: str, target: str | None) -> Decoded:
    """digits as images of (1, 8, 8), the others as tables; all uncut. Raises InputError where a target is named."""
    from sklearn import datasets

    if target is not None:
        raise InputError(f"{name}: its target is given; target={target!r} cannot be chosen, leave it out")
    bunch = getattr(datasets, BUNDLED[name])()
    # Pixels of digits are 0 to 16.
    x = np.rint(bunch.images[:, None] * 255 / 16).astype(np.uint8) if name == "digits" else bunch.data
    x = x if x.dtype == np.uint8 else x.astype(np.float32)
    classes = tuple(str(label) for label in bunch.target_names)
    return Decoded({"train": Split(x, bunch.target.astype(np.int64))}, classes)
