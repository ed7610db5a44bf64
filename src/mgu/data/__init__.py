"""Any data set as arrays: train, validation and test."""

from collections.abc import Iterable, Mapping
from numbers import Integral

from mgu.data.arrays import DataSet, Split, checksum, task_of
from mgu.data.features import TableFeatures
from mgu.data.query import Query, read_keep, read_size
from mgu.data.sources import read
from mgu.data.splits import cut
from mgu.data.targets import ENCODERS, check_varied
from mgu.errors import InputError

__all__ = ["DataSet", "Split", "TableFeatures", "load_data"]

MIN_LIMIT = 10


def load_data(
    name: str,
    *,
    target: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    task: str | None = None,
    group: str | None = None,
    keep: Mapping[str, object] | None = None,
    image_size: tuple[int, int] | None = None,
    drop: Iterable[str] = (),
) -> DataSet:
    """A data set by name, with disjoint train, validation and test splits.

    ``name`` is one of scikit-learn's bundled sets (digits as images; iris, wine, breast_cancer and diabetes as tables),
    mnist or cifar10, an id of the Hugging Face Hub (owner/name), a folder of Parquet files in the Hub's layout, a
    folder of images (one folder a class, or a metadata.csv), or a .csv or .parquet file. What exists on disk goes
    before the Hub.

    Images are all decoded to greyscale where all are greyscale, else to red, green and blue: x is (samples, channels,
    height, width) uint8. Tables need a target column: ``target``, else the one called target or label; all others are
    features: x is (samples, features) float32. Their numbers keep to one column each, and a missing one becomes the
    median; text becomes 0/1 columns, one a category. Both are learned from the training split alone, after it was cut,
    and kept as ``features`` of the data set; see ``mgu.data.features``.

    ``task`` is "classification" or "regression"; where it is None, a target with fractions and more than 20 distinct
    values is a quantity, all others are classes, but whole numbers that may be either are refused. In both kinds of
    input y is (samples,): int64 for classification, float32 for regression.

    Splits are recognised by their usual names. Where there is no labelled test split, 1/5 of the training split is cut
    off for it, always the same; where there is no validation split, 1/6 of what remains, by ``seed``. At most ``limit``
    samples, by ``seed``, are taken from what train and validation are cut from, or from train alone where validation
    comes with the data; test stays whole. All cuts are stratified by class, and plainly random for regression.

    ``group`` names a column that says which samples belong together, such as the images of one case; without it, an
    image set is grouped by its column case_id, patient_id or group, where it has one. All samples of a group are in one
    split, shares are shares of the groups, and ``limit`` takes whole groups. ``keep`` has, by column, the value or the
    list of values that a row must hold to be taken. ``image_size`` (height, width) is what images are resized to,
    whatever their proportions. Columns in ``drop`` are no features. The data set's ``note`` tells of all four.

    Decoded images are cached in ``$MGU_CACHE``, ``$XDG_CACHE_HOME/mgu`` or ``~/.cache/mgu``. Where they take more than
    a sixteenth of the memory that is free, they stay there, and are read from the file as they are needed.

    Raises InputError for an unknown name, a missing file, a Hub out of reach, an image that cannot be read or differs
    in size, a column or a value to be kept that is not there, a group that is missing, of two classes or in two splits,
    a table that cannot be read or that memory does not hold, a feature that is infinite, beyond 32 bits, dates, wholly
    missing, of mixed types or as good as an id, a target that is absent, incomplete, all of one value (a quantity: in
    any split), or not of the task, a class unseen in training, and too few samples or groups, in all or of a class, and
    where images do not fit in memory and the cache has no room for them.
    """
    if limit is not None and (not _whole(limit) or limit < MIN_LIMIT):
        raise InputError(f"limit must be a whole number of at least {MIN_LIMIT}, or left out; {limit!r} was given")
    if not _whole(seed) or not 0 <= seed < 2**32:
        raise InputError(f"seed must be a whole number from 0 to 2**32 - 1; {seed!r} was given")
    if isinstance(drop, str):
        raise InputError(f"drop must be a list of columns, such as [{drop!r}]; the text {drop!r} was given")
    if task is not None and task not in ENCODERS:
        raise InputError(f"task must be {' or '.join(ENCODERS)}, or left out; {task!r} was given")
    query = Query(target, task, group, read_keep(keep), read_size(image_size), tuple(drop))
    decoded = read(name, query)
    classes = decoded.classes
    splits, features = decoded.take(cut(decoded.y, classes, name, limit=limit, seed=seed, groups=decoded.groups))
    if not classes:
        check_varied({role: split.y for role, split in splits.items()}, name)
    data = DataSet(
        name,
        **splits,
        classes=classes,
        checksum=checksum(splits, classes),
        task=task_of(classes),
        features=features,
        note=query.note(decoded.group),
        query=query,
    )
    _ = data.mean, data.std  # worked out here, where it is once for all trials, each in a process of its own
    return data


def _whole(number: object) -> bool:
    return isinstance(number, Integral)
