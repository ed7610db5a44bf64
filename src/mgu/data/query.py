"""What is asked of a source, beside its name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral

from mgu.data.cells import as_text
from mgu.errors import InputError

#: No image is resized to more pixels: as many as Pillow reads.
MAX_PIXELS = 89_478_485


@dataclass(frozen=True)
class Query:
    """The target column and the task, the column of groups, the values that a column is to hold in the rows that are
    kept, the (height, width) of images, and columns that are no features; None and nothing where the source decides."""

    target: str | None = None
    task: str | None = None
    group: str | None = None
    keep: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    image_size: tuple[int, int] | None = None
    drop: tuple[str, ...] = ()

    def note(self, group: str | None) -> str:
        """What a reader must know of the data so read, and split by the column ``group``."""
        kept = [f"Only rows with {column} {' or '.join(values)}." for column, values in self.keep.items()]
        resized = ["Images resized to {} x {} (height x width).".format(*self.image_size)] if self.image_size else []
        dropped = [f"Without {', '.join(self.drop)}."] if self.drop else []
        split = [f"Split by {group}: each is in one split alone."] if group else []
        return " ".join([*kept, *dropped, *resized, *split])


def read_keep(keep: Mapping[str, object] | None) -> dict[str, tuple[str, ...]]:
    """The values to be kept as text, by column, from one or a list of them. Raises InputError for an empty list."""
    found = {
        column: tuple(as_text(value) for value in (values if isinstance(values, list | tuple) else [values]))
        for column, values in (keep or {}).items()
    }
    for column, values in found.items():
        if not values:
            raise InputError(f"keep has no value for the column {column!r}; give one or more, or leave the column out")
    return found


def read_size(size: object) -> tuple[int, int] | None:
    """(height, width). Raises InputError for anything but two whole numbers from 1 on, or None, and for more than
    ``MAX_PIXELS``."""
    if size is None:
        return None
    sides = list(size) if isinstance(size, tuple | list) else []
    if len(sides) != 2 or not all(_is_side(side) for side in sides):
        raise InputError(
            f"image_size must be (height, width), two whole numbers from 1 on, or left out; {size!r} was given"
        )
    height, width = map(int, sides)
    if height * width > MAX_PIXELS:
        raise InputError(
            f"image_size must be (height, width) of at most {MAX_PIXELS:,} pixels in all; {size!r} was given, "
            f"{height * width:,} pixels: make it smaller"
        )
    return height, width


def _is_side(value: object) -> bool:
    return isinstance(value, Integral) and int(value) >= 1
