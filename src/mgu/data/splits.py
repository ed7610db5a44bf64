"""Train, validation and test: which splits they are, and where to cut one that is missing."""

from collections.abc import Iterable, Sequence

import numpy as np

from mgu.data.arrays import Decoded, Split
from mgu.errors import InputError

#: By role, the names of splits that take it; the first that is there wins.
ROLES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval"),
}

#: The test split never moves, whatever the seed of an experiment.
TEST_SEED = 0

#: One in so many samples is cut off.
TEST_SHARE = 5
VALIDATION_SHARE = 6


def find_roles(names: Iterable[str], source: str) -> dict[str, str]:
    """By role, the name of its split; splits with other names are left out.

    Raises InputError where none of several splits is called train.
    """
    names = list(names)
    found = {role: [name for name in usual if name in names] for role, usual in ROLES.items()}
    if not found["train"] and len(names) > 1:
        raise InputError(f"{source}: none of the splits ({', '.join(names)}) is called train; rename one")
    return {role: usual[0] for role, usual in found.items() if usual} if found["train"] else {"train": names[0]}


def cut(decoded: Decoded, source: str, *, limit: int | None, seed: int) -> dict[str, Split]:
    """Train, validation and test, disjoint and stratified; each in the order of its source.

    Raises InputError where there are too few samples of a class, or too low a ``limit``.
    """
    splits = dict(decoded.splits)
    missing = [role for role in ("validation", "test") if role not in splits]
    present = np.unique(splits["train"].y)
    named = [(int(i), decoded.classes[i]) for i in present]
    remedy = "add samples or drop the class (and where the target is a quantity: only classification is supported)"
    _check_counts(splits["train"], named, 1 + len(missing), source, remedy)
    if "test" in missing:
        splits["train"], splits["test"] = _cut_off(splits["train"], TEST_SHARE, TEST_SEED, source)
    if limit is not None and limit < len(splits["train"].y):
        source = f"{source} with limit={limit}"
        splits["train"] = _sample(splits["train"], limit, seed)
        _check_counts(splits["train"], named, 1 + ("validation" in missing), source, "raise the limit")
    if "validation" in missing:
        splits["train"], splits["validation"] = _cut_off(splits["train"], VALIDATION_SHARE, seed, source)
    return splits


def _check_counts(split: Split, named: Sequence[tuple[int, str]], needed: int, source: str, remedy: str) -> None:
    count, name = min((int((split.y == i).sum()), name) for i, name in named)
    if count < needed:
        raise InputError(
            f"{source}: class {name!r} has {count} training sample{'s' * (count != 1)}, but {needed} are needed for "
            f"stratified splits; {remedy}"
        )


def _cut_off(split: Split, share: int, seed: int, source: str) -> tuple[Split, Split]:
    from sklearn.model_selection import train_test_split

    samples, classes = len(split.y), len(np.unique(split.y))
    size = -(-samples // share)
    if size < classes:
        raise InputError(
            f"{source}: {samples} samples of {classes} classes are too few to cut a stratified 1/{share} off; "
            f"{share * (classes - 1) + 1} are needed"
        )
    kept, cut_off = train_test_split(np.arange(samples), test_size=size, stratify=split.y, random_state=seed)
    return split.take(np.sort(kept)), split.take(np.sort(cut_off))


def _sample(split: Split, limit: int, seed: int) -> Split:
    # Not train_test_split: it refuses to leave out fewer samples than there are classes.
    from sklearn.utils import resample

    rows = resample(np.arange(len(split.y)), replace=False, n_samples=limit, random_state=seed, stratify=split.y)
    return split.take(np.sort(rows))
