"""Which column holds the images, which the labels, and which the groups."""

from collections.abc import Sequence
from typing import Any

from mgu.data.query import Query
from mgu.errors import InputError

#: Columns by these names say which samples belong together; an image set is split by them.
GROUP_COLUMNS = ("case_id", "patient_id", "group")


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
    if target is not None:
        return check_column(columns, target, "target column", source)
    candidates = list(named) if len(named) == 1 else [c for c in named or columns if c.lower() in ("target", "label")]
    if len(candidates) == 1:
        return candidates[0]
    fault = (
        f"{' and '.join(candidates or named)} could each be the target"
        if candidates or named
        else "no column is called target or label"
    )
    listed = ", ".join(map(str, columns)) or "none"
    raise InputError(f"{source}: {fault}; name one as the target (--target); the columns are: {listed}{_hint(columns)}")


def chosen_columns(
    columns: Sequence[str], query: Query, source: str, named: Sequence[str], usual: Sequence[str] = ()
) -> tuple[str, str | None]:
    """The columns of the target and of the groups, as ``target_column`` and ``group_column`` find them.

    Raises InputError for what they refuse, and where a column to keep rows by or to drop is not there.
    """
    for column in (*query.keep, *query.drop):
        check_column(columns, column, "column", source)
    columns = [column for column in columns if column not in query.drop]
    target = target_column(columns, query.target, source, named)
    return target, group_column(columns, query.group, target, source, usual)


def group_column(
    columns: Sequence[str], group: str | None, target: str, source: str, usual: Sequence[str] = ()
) -> str | None:
    """The column of groups: ``group``, else the one that is called as one of ``usual``; None where there is none.

    Raises InputError, listing the columns, where ``group`` is not there or is the target, or where several could be.
    """
    others = [column for column in columns if column != target]
    if group is not None:
        return check_column(others, group, "group column beside the target", source)
    candidates = [column for column in others if column.lower() in usual]
    if len(candidates) > 1:
        raise InputError(
            f"{source}: {' and '.join(candidates)} could each be the group of a sample; name one (--group), the one "
            "whose samples must stay together"
        )
    return candidates[0] if candidates else None


def check_column(columns: Sequence[str], name: str, what: str, source: str) -> str:
    """The name, where a column has it. Raises InputError, listing the columns, where none has."""
    if name not in columns:
        listed = ", ".join(map(str, columns)) or "none"
        raise InputError(f"{source}: there is no {what} {name!r}; the columns are: {listed}")
    return name


def _hint(columns: Sequence[str]) -> str:
    if not columns:
        return " but the images (images get labels from one folder a class, two or more, or from a metadata.csv)"
    return " (only one: are the fields separated by commas?)" if len(columns) == 1 else ""
