"""Train, validation and test: which splits they are, and where to cut one that is missing."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mgu.data.arrays import Part, Target
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

#: So many training samples, uncut, are what a regression needs at least.
MIN_SAMPLES = 10


def find_roles(names: Iterable[str], source: str) -> dict[str, str]:
    """By role, the name of its split; splits with other names are left out.

    Raises InputError where none of several splits is called train.
    """
    names = list(names)
    found = {role: [name for name in usual if name in names] for role, usual in ROLES.items()}
    if not found["train"] and len(names) > 1:
        raise InputError(f"{source}: none of the splits ({', '.join(names)}) is called train; rename one")
    return {role: usual[0] for role, usual in found.items() if usual} if found["train"] else {"train": names[0]}


def cut(
    y: Mapping[str, Target], classes: Sequence[str], source: str, *, limit: int | None, seed: int
) -> dict[str, Part]:
    """Train, validation and test, disjoint; each in the order of its source, and stratified where there are classes.

    ``y`` are the targets of "train", and of "validation" and "test" where the source has them. Raises InputError where
    there are too few samples, in all or of a class, or too low a ``limit``.
    """
    parts = {role: Part(role, np.arange(len(target))) for role, target in y.items()}
    missing = [role for role in ("validation", "test") if role not in parts]
    present = [(int(i), classes[i]) for i in np.unique(y["train"])] if classes else []
    remedy = "add samples or drop the class (and where the target is a quantity: name the task 'regression')"
    if not classes and len(y["train"]) < MIN_SAMPLES:
        raise InputError(f"{source}: {len(y['train'])} training samples are too few; {MIN_SAMPLES} are needed")
    _check_counts(y["train"], present, 1 + len(missing), source, remedy)
    if "test" in missing:
        parts["train"], parts["test"] = _cut_off(parts["train"], y["train"], TEST_SHARE, TEST_SEED, source)
    if limit is not None and limit < len(parts["train"].rows):
        source = f"{source} with limit={limit}"
        parts["train"] = _sample(parts["train"], y["train"], limit, seed)
        _check_counts(
            y["train"][parts["train"].rows], present, 1 + ("validation" in missing), source, "raise the limit"
        )
    if "validation" in missing:
        parts["train"], parts["validation"] = _cut_off(parts["train"], y["train"], VALIDATION_SHARE, seed, source)
    return parts


def _check_counts(y: Target, present: Sequence[tuple[int, str]], needed: int, source: str, remedy: str) -> None:
    count, name = min(((int((y == i).sum()), name) for i, name in present), default=(needed, ""))
    if count < needed:
        raise InputError(
            f"{source}: class {name!r} has {count} training sample{'s' * (count != 1)}, but {needed} are needed for "
            f"stratified splits; {remedy}"
        )


def _strata(part: Part, y: Target) -> Target | None:
    return y[part.rows] if y.dtype.kind == "i" else None


def _cut_off(part: Part, y: Target, share: int, seed: int, source: str) -> tuple[Part, Part]:
    from sklearn.model_selection import train_test_split

    strata = _strata(part, y)
    samples, classes = len(part.rows), len(np.unique(strata)) if strata is not None else 0
    size = -(-samples // share)
    if size < classes:
        raise InputError(
            f"{source}: {samples} samples of {classes} classes are too few to cut a stratified 1/{share} off; "
            f"{share * (classes - 1) + 1} are needed"
        )
    kept, cut_off = train_test_split(np.arange(samples), test_size=size, stratify=strata, random_state=seed)
    return part.take(kept), part.take(cut_off)


def _sample(part: Part, y: Target, limit: int, seed: int) -> Part:
    # Not train_test_split: it refuses to leave out fewer samples than there are classes.
    from sklearn.utils import resample

    rows = np.arange(len(part.rows))
    return part.take(resample(rows, replace=False, n_samples=limit, random_state=seed, stratify=_strata(part, y)))
