"""Train, validation and test: which splits they are, and where to cut one that is missing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgu.data.arrays import Groups, Part, Target
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

#: So many training samples or groups, uncut, are what a regression needs at least.
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


@dataclass(frozen=True, eq=False)
class Units:
    """What a cut leaves whole, samples or groups of them: the unit of each sample, and each unit's target and number of
    samples. The target of a group is that of its first sample."""

    of: NDArray[np.int64]
    y: Target
    sizes: NDArray[np.int64]
    word: str

    @classmethod
    def read(cls, y: Target, groups: Groups | None) -> "Units":
        """The groups of the samples, in the order of their names; the samples themselves where there are none."""
        if groups is None:
            return cls(np.arange(len(y)), y, np.ones(len(y), dtype=np.int64), "sample")
        _, first, of, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
        return cls(of, y[first], sizes, "group")

    def samples(self, units: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of all samples of these units."""
        return np.flatnonzero(np.isin(self.of, units))


def cut(
    y: Mapping[str, Target],
    classes: Sequence[str],
    source: str,
    *,
    limit: int | None,
    seed: int,
    groups: Mapping[str, Groups] | None = None,
) -> dict[str, Part]:
    """Train, validation and test, disjoint; each in the order of its source, and stratified where there are classes.

    ``y`` are the targets of "train", and of "validation" and "test" where the source has them. With ``groups``, all
    samples of a group come into one part, the shares are shares of the groups, and a ``limit`` of samples takes whole
    groups. Raises InputError where there are too few samples or groups, in all or of a class, or too low a ``limit``.
    """
    units = Units.read(y["train"], (groups or {}).get("train"))
    parts = _cut({role: len(target) for role, target in y.items()}, units, classes, source, limit, seed)
    return {role: Part("train", units.samples(p.rows)) if p.split == "train" else p for role, p in parts.items()}


def _cut(
    sizes: Mapping[str, int], units: Units, classes: Sequence[str], source: str, limit: int | None, seed: int
) -> dict[str, Part]:
    # The rows of what is from "train" are numbers of units here.
    parts = {role: Part(role, np.arange(size)) for role, size in sizes.items()}
    parts["train"] = Part("train", np.arange(len(units.y)))
    missing = [role for role in ("validation", "test") if role not in parts]
    present = [(int(i), classes[i]) for i in np.unique(units.y)] if classes else []
    remedy = "add samples or drop the class (and where the target is a quantity: name the task 'regression')"
    if not classes and len(units.y) < MIN_SAMPLES:
        raise InputError(f"{source}: {len(units.y)} training {units.word}s are too few; {MIN_SAMPLES} are needed")
    _check_counts(parts["train"], units, present, 1 + len(missing), source, remedy)
    if "test" in missing:
        parts["train"], parts["test"] = _cut_off(parts["train"], units, TEST_SHARE, TEST_SEED, source)
    if limit is not None and limit < units.sizes[parts["train"].rows].sum():
        source = f"{source} with limit={limit}"
        parts["train"] = _sample(parts["train"], units, limit, seed)
        _check_counts(parts["train"], units, present, 1 + ("validation" in missing), source, "raise the limit")
    if "validation" in missing:
        parts["train"], parts["validation"] = _cut_off(parts["train"], units, VALIDATION_SHARE, seed, source)
    return parts


def _check_counts(
    part: Part, units: Units, present: Sequence[tuple[int, str]], needed: int, source: str, remedy: str
) -> None:
    y = units.y[part.rows]
    count, name = min(((int((y == i).sum()), name) for i, name in present), default=(needed, ""))
    if count < needed:
        raise InputError(
            f"{source}: class {name!r} has {count} training {units.word}{'s' * (count != 1)}, but {needed} are needed "
            f"for stratified splits; {remedy}"
        )


def _strata(part: Part, units: Units) -> Target | None:
    return units.y[part.rows] if units.y.dtype.kind == "i" else None


def _cut_off(part: Part, units: Units, share: int, seed: int, source: str) -> tuple[Part, Part]:
    from sklearn.model_selection import train_test_split

    strata = _strata(part, units)
    count, classes = len(part.rows), len(np.unique(strata)) if strata is not None else 0
    size = -(-count // share)
    if size < classes:
        raise InputError(
            f"{source}: {count} {units.word}s of {classes} classes are too few to cut a stratified 1/{share} off; "
            f"{share * (classes - 1) + 1} are needed"
        )
    kept, cut_off = train_test_split(np.arange(count), test_size=size, stratify=strata, random_state=seed)
    return part.take(kept), part.take(cut_off)


def _sample(part: Part, units: Units, limit: int, seed: int) -> Part:
    """As many units as have their share of the limit, and fewer where these have more samples than it allows."""
    # Not train_test_split: it refuses to leave out fewer samples than there are classes.
    from sklearn.utils import resample

    options: dict[str, Any] = {"replace": False, "random_state": seed, "stratify": _strata(part, units)}
    places = np.arange(len(part.rows))
    for count in range(limit * len(places) // int(units.sizes[part.rows].sum()), 0, -1):
        taken = part.take(resample(places, n_samples=count, **options))
        if units.sizes[taken.rows].sum() <= limit:
            return taken
    return part.take(places[:0])
