"""From what ``datasets`` loaded to arrays, images and tables alike."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mgu.data.arrays import Decoded, Split
from mgu.data.columns import GROUP_COLUMNS, chosen_columns, class_labels, image_column
from mgu.data.images import decode_images
from mgu.data.places import FIRST_ROW, Place, sequence, sheet
from mgu.data.query import Query
from mgu.data.rows import keep_rows, read_groups
from mgu.data.splits import find_roles
from mgu.data.tables import Table, read_tables
from mgu.data.targets import encode_target


def decode(
    sets: Any, source: str, query: Query, folders: Sequence[Path], mapped: Path | None = None
) -> Decoded | Table:
    """The splits of a ``datasets.DatasetDict`` that are recognised by name; ``source`` names it in errors, and its
    images may lie in the ``folders``. Images that do not fit in memory are files ``mapped`` in that folder.

    Raises InputError for what cannot be read, a column or value that is not there, groups that are not whole, and a
    target that does not suit the task.
    """
    roles = find_roles(sets, source)
    splits = {role: sets[name] for role, name in roles.items()}
    features = splits["train"].features
    images = image_column(features, source)
    names = {column: features[column].names for column in class_labels(features)}
    place = sheet if images is None else sequence
    places = {role: place(f"{source}, split {name}") for role, name in roles.items()}
    if images is None:
        return read_tables({role: _frame(split) for role, split in splits.items()}, query, places, source, names)
    return _read_images(splits, images, query, places, source, names, folders, mapped)


def _read_images(
    splits: Mapping[str, Any],
    images: str,
    query: Query,
    places: Mapping[str, Place],
    source: str,
    names: Mapping[str, Sequence[str]],
    folders: Sequence[Path],
    mapped: Path | None,
) -> Decoded:
    columns = [name for name in splits["train"].features if name != images]
    target, group = chosen_columns(columns, query, source, list(names), GROUP_COLUMNS)
    read = {target, *query.keep, *([group] if group else [])}
    described = {role: _described(split, read) for role, split in splits.items()}
    frames = keep_rows(described, query.keep, places, names)
    targets = {role: frame[target] for role, frame in frames.items()}
    y, classes = encode_target(targets, names.get(target), places, query.task)
    groups = read_groups(frames, group, y, classes, places) if group else {}
    rows = {role: frames[role].index.to_numpy() for role in y}
    x = decode_images({role: splits[role] for role in y}, images, places, rows, folders, query.image_size, mapped)
    return Decoded({role: Split(x[role], y[role], groups.get(role)) for role in y}, classes, group)


def _frame(split: Any) -> Any:
    frame = split.to_pandas()
    frame.index += FIRST_ROW
    return frame


def _described(split: Any, columns: Iterable[str]) -> Any:
    return split.select_columns(sorted(columns)).to_pandas()
