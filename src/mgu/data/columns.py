"""Which column holds the images, and which the labels."""

from collections.abc import Sequence
from typing import Any

from mgu.errors import InputError


def image_column(features: Any, source: str) -> str | None:
    """The one image column of a ``datasets.Features``; None for a table. Raises InputError where there are several."""
    import datasets

    images = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    if len(images) > 1:
        raise InputError(f"{source}: one image column is needed, but {', '.join(images)} are; drop all but one")
    return images[0] if images else None


def class_labels(features: Any) -> list[str]:
    """The columns whose class names a ``datasets.Features`` gives."""
    import datasets

    return [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]


def target_column(columns: Sequence[str], target: str | None, source: str, named: Sequence[str] = ()) -> str:
    """The label column: ``target``, else the one of ``named`` (with class names), else the one called target or label.

    Raises InputError, listing the columns, where that is none or several.
    """
    listed = ", ".join(map(str, columns)) or "none"
    if target is not None:
        if target not in columns:
            raise InputError(f"{source}: there is no target column {target!r}; the columns are: {listed}")
        return target
    candidates = list(named) if len(named) == 1 else [c for c in named or columns if c.lower() in ("target", "label")]
    if len(candidates) == 1:
        return candidates[0]
    fault = (
        f"{' and '.join(candidates or named)} could each be the target"
        if candidates or named
        else "no column is called target or label"
    )
    raise InputError(f"{source}: {fault}; name one as the target (--target); the columns are: {listed}{_hint(columns)}")


def _hint(columns: Sequence[str]) -> str:
    if not columns:
        return " but the images (images get labels from one folder a class, two or more, or from a metadata.csv)"
    return " (only one: are the fields separated by commas?)" if len(columns) == 1 else ""
