"""Any data set as arrays: train, validation and test."""

from numbers import Integral

from mgu.data.arrays import DataSet, Split, checksum
from mgu.data.sources import read
from mgu.data.splits import cut
from mgu.errors import InputError

__all__ = ["DataSet", "Split", "load_data"]

MIN_LIMIT = 10


def load_data(name: str, *, target: str | None = None, limit: int | None = None, seed: int = 0) -> DataSet:
    """A data set by name, with stratified and disjoint train, validation and test splits.

    ``name`` is one of scikit-learn's bundled sets (digits as images; iris, wine and breast_cancer as tables), mnist or
    cifar10, an id of the Hugging Face Hub (owner/name), a folder of Parquet files in the Hub's layout, a folder of
    images (one folder a class, or a metadata.csv), or a .csv or .parquet file. What exists on disk goes before the Hub.

    Images are all decoded to greyscale where all are greyscale, else to red, green and blue: x is (samples, channels,
    height, width) uint8. Tables need a target column: ``target``, else the one called target or label; all others are
    features: x is (samples, features) float32. In both, y is (samples,) int64.

    Splits are recognised by their usual names. Where there is no labelled test split, 1/5 of the training split is cut
    off for it, always the same; where there is no validation split, 1/6 of what remains, by ``seed``. At most ``limit``
    samples, by ``seed``, are taken from what train and validation are cut from, or from train alone where validation
    comes with the data; test stays whole.

    Decoded images are cached in ``$MGU_CACHE``, ``$XDG_CACHE_HOME/mgu`` or ``~/.cache/mgu``.

    Raises InputError for an unknown name, a missing file, a Hub out of reach, an image that cannot be read or differs
    in size, a table that cannot be read or has a feature that is not a finite number, a target that is absent,
    incomplete, a quantity or all of one class, a class unseen in training, and too few samples of a class.
    """
    if limit is not None and (not _whole(limit) or limit < MIN_LIMIT):
        raise InputError(f"limit must be a whole number of at least {MIN_LIMIT}, or left out; {limit!r} was given")
    if not _whole(seed) or not 0 <= seed < 2**32:
        raise InputError(f"seed must be a whole number from 0 to 2**32 - 1; {seed!r} was given")
    decoded = read(name, target)
    splits = cut(decoded, name, limit=limit, seed=seed)
    return DataSet(name, **splits, classes=decoded.classes, checksum=checksum(splits, decoded.classes))


def _whole(number: object) -> bool:
    return isinstance(number, Integral)
