"""From what ``datasets`` loaded to arrays, images and tables alike."""

from typing import Any

from mgu.data.arrays import Decoded, Split
from mgu.data.columns import class_labels, image_column, target_column
from mgu.data.images import decode_images
from mgu.data.places import FIRST_ROW, sequence, sheet
from mgu.data.splits import find_roles
from mgu.data.tables import Table, decode_tables
from mgu.data.targets import encode_target


def decode(sets: Any, source: str, target: str | None, task: str | None) -> Decoded | Table:
    """The splits of a ``datasets.DatasetDict`` that are recognised by name; ``source`` names it in errors.

    Raises InputError for what cannot be read, and for a target that does not suit the task.
    """
    roles = find_roles(sets, source)
    splits = {role: sets[name] for role, name in roles.items()}
    features = splits["train"].features
    images = image_column(features, source)
    labelled = class_labels(features)
    target = target_column([name for name in features if name != images], target, source, labelled)
    names = features[target].names if target in labelled else None
    place = sheet if images is None else sequence
    places = {role: place(f"{source}, split {name}") for role, name in roles.items()}
    if images is None:
        return decode_tables({role: _frame(split) for role, split in splits.items()}, target, names, places, task)
    columns = {role: _labels(split, target) for role, split in splits.items()}
    y, classes = encode_target(columns, names, places, task)
    x = decode_images({role: splits[role] for role in y}, images, places)
    return Decoded({role: Split(x[role], y[role]) for role in y}, classes)


def _frame(split: Any) -> Any:
    frame = split.to_pandas()
    frame.index += FIRST_ROW
    return frame


def _labels(split: Any, target: str) -> Any:
    return split.select_columns([target]).to_pandas()[target]
