"""From data frames to rows that can be cut, and from these to features and targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mgu.data.arrays import Floats, Groups, Part, Split, Target
from mgu.data.cells import MAX_LETTERS, check_spread, kind
from mgu.data.columns import chosen_columns
from mgu.data.features import Cells, TableFeatures, read_cells
from mgu.data.learning import learn_features
from mgu.data.places import Place
from mgu.data.query import Query
from mgu.data.rows import keep_rows, read_groups
from mgu.data.targets import encode_target
from mgu.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Table:
    """A table uncut, by split: its cells by the kind of their column, gaps included, its targets, and its groups, from
    the column ``group``, where it has them."""

    cells: Mapping[str, Cells]
    kinds: Mapping[str, str]
    y: Mapping[str, Target]
    classes: tuple[str, ...]
    places: Mapping[str, Place]
    groups: Mapping[str, Groups] = field(default_factory=dict)
    group: str | None = None

    def take(self, parts: Mapping[str, Part]) -> tuple[dict[str, Split], TableFeatures]:
        """The parts as arrays, and the features that were learned from the training part alone.

        Raises InputError for what ``learn_features`` refuses, and for numbers that 32 bits do not hold once they are
        standardised.
        """
        cells = {role: _rows(self.cells[part.split], part) for role, part in parts.items()}
        place = self.places[parts["train"].split]
        features = learn_features(cells["train"], self.kinds, place)
        for name in (name for name, of_kind in self.kinds.items() if of_kind == "number"):
            every = np.concatenate([part[name] for part in cells.values()])
            check_spread(f"column {name!r}", cells["train"][name], every, place.text)
        return {role: self._split(part, features.encode(cells[role])) for role, part in parts.items()}, features

    def _split(self, part: Part, x: Floats) -> Split:
        groups = self.groups.get(part.split)
        return Split(x, self.y[part.split][part.rows], None if groups is None else groups[part.rows])


def read_tables(
    frames: Mapping[str, "pd.DataFrame"],
    query: Query,
    places: Mapping[str, Place],
    source: str,
    names: Mapping[str, Sequence[str]],
) -> Table:
    """What is asked of the tables; ``names`` has, by column, the classes that it holds numbers of.

    Raises InputError for an image size, what ``chosen_columns`` and ``keep_rows`` refuse, and what ``decode_tables``
    does.
    """
    if query.image_size:
        raise InputError(f"{source}: a table has no images, but image_size={query.image_size} was given; leave it out")
    target, group = chosen_columns([str(name) for name in frames["train"].columns], query, source, list(names))
    frames = keep_rows(frames, query.keep, places, names)
    frames = {role: frame.drop(columns=list(query.drop)) for role, frame in frames.items()}
    return decode_tables(frames, target, names.get(target), places, query.task, group)


def decode_tables(
    frames: Mapping[str, "pd.DataFrame"],
    target: str,
    names: Sequence[str] | None,
    places: Mapping[str, Place],
    task: str | None = None,
    group: str | None = None,
) -> Table:
    """The column ``target``, the groups from the column ``group``, and all others as cells; nothing is learned here.

    ``frames`` are indexed by the row numbers that errors show. Raises InputError for a column without a name, one of
    dates or of mixed types, and a value that is infinite, naming split, column and row; and what ``encode_target``
    and ``read_groups`` raise.
    """
    y, classes = encode_target({role: frame[target] for role, frame in frames.items()}, names, places, task)
    groups = read_groups(frames, group, y, classes, places) if group is not None else {}
    apart = [target] if group is None else [target, group]
    train = frames["train"].drop(columns=apart)
    _check_header([str(name) for name in train.columns], places["train"])
    kinds = {str(name): kind(column, places["train"]) for name, column in train.items()}
    cells = {role: read_cells(frames[role].drop(columns=apart), kinds, places[role]) for role in y}
    return Table(cells, kinds, y, classes, places, groups, group)


def _check_header(names: Sequence[str], place: Place) -> None:
    if not names:
        raise InputError(f"{place.text}: there is no column beside the target; at least one feature is needed")
    for i, name in enumerate(names):
        if len(name) > MAX_LETTERS:
            raise InputError(
                f"{place.text}: the name of feature column {i + 1} has {len(name):,} letters, and {MAX_LETTERS:,} are "
                f"allowed ({name[:40]!r}...); rename it"
            )
        # What a saved pandas index becomes. In a file sorted by class it would give the answer away.
        if not name or name.startswith(("Unnamed: ", "__index_level_")):
            raise InputError(
                f"{place.text}: feature column {i + 1} has no name{f' of its own ({name})' if name else ''}, as when "
                "row numbers were saved with the table; name it or drop it"
            )


def _rows(cells: Cells, part: Part) -> Cells:
    return {name: values[part.rows] for name, values in cells.items()}
