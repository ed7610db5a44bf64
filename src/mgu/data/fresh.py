"""New data for a trained network: the rows of a table or the images of a folder, labelled or not."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mgu.data.arrays import Part, Target, task_of
from mgu.data.cells import as_text, numbers
from mgu.data.columns import check_column
from mgu.data.csv_file import read_csv
from mgu.data.images import read_like
from mgu.data.mapped import Mapped
from mgu.data.parquet_file import read_parquet
from mgu.data.places import Place, sheet
from mgu.data.preprocessing import Preprocessing
from mgu.data.sources import read
from mgu.data.splits import cut
from mgu.data.tables import Table
from mgu.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".parquet")
METADATA = "metadata.csv"


@dataclass(frozen=True, eq=False)
class Fresh:
    """Samples as they were before standardising, in their source's order.

    ``names`` are what ``kind`` says: the "file" of each, or its "row". ``x`` is as in ``mgu.data.Split``, and so is
    ``y``, with -1 or NaN for what is not known. ``faults`` are the images that could not be taken, and why.
    """

    kind: str
    names: tuple[str, ...]
    x: NDArray[Any] | Mapped
    y: Target
    faults: tuple[str, ...] = ()

    @property
    def known(self) -> NDArray[np.int64]:
        """The positions of the samples whose class or quantity is known."""
        is_known = self.y >= 0 if self.y.dtype.kind == "i" else np.isfinite(self.y)
        return np.flatnonzero(is_known)


def read_fresh(name: str, wanted: Preprocessing) -> Fresh:
    """New data that a network takes which was trained on data of this preprocessing.

    ``name`` is a .csv or .parquet table, whose further columns are left out; a folder of images, flat or nested, or one
    image; else anything that ``mgu.data.load_data`` takes, of which its test split is taken. Labels are the target's
    column, a metadata.csv in the folder, or the name of the folder that an image lies in, where that is a class.

    An image that cannot be taken is left out and named in ``faults``. Raises InputError where none is left, where a
    table lacks a column or has a value that is not of its kind, where the data is of another kind than the model's, and
    for what ``load_data`` refuses.
    """
    path = Path(os.path.expanduser(name))
    is_table = path.suffix.lower() in TABLES and path.is_file()
    files = [] if is_table or not name else _image_files(path)
    if not is_table and not files:
        return _held_out(name, wanted)
    if is_table != bool(wanted.features):
        raise InputError(f"{name} holds {_said(is_table)}, but the model takes {_said(bool(wanted.features))}")
    return _rows(path, wanted) if is_table else _images(path, files, wanted)


def _said(is_table: bool) -> str:
    return "a table" if is_table else "images"


def _rows(path: Path, wanted: Preprocessing) -> Fresh:
    assert wanted.features
    place = sheet(str(path))
    frame = read_csv(path) if path.suffix.lower() == ".csv" else read_parquet(path)
    x = wanted.features.transform(frame, place)
    column = _label_column([str(column) for column in frame.columns], wanted)
    y = _unknown(len(x), wanted) if column is None else _targets(frame[column], wanted, place)
    return Fresh("row", tuple(str(number) for number in frame.index), x, y)


def _images(path: Path, files: list[Path], wanted: Preprocessing) -> Fresh:
    base = path if path.is_dir() else path.parent
    shape: Any = wanted.input_shape
    taken, faults = {}, []
    for file in files:
        try:
            taken[file.relative_to(base).as_posix()] = read_like(file, shape, wanted.query.image_size)
        except InputError as error:
            faults.append(str(error))
    if not taken:
        raise InputError(f"{path}: none of {len(files)} images can be taken; the first: {faults[0]}")
    return Fresh(
        "file", tuple(taken), np.stack(list(taken.values())), _labels(base, list(taken), wanted), tuple(faults)
    )


def _image_files(path: Path) -> list[Path]:
    """The image files of a folder, as ``datasets`` looks for them; the path itself where it is one."""
    from datasets.packaged_modules.imagefolder.imagefolder import ImageFolder

    def is_image(file: Path) -> bool:
        return file.suffix.lower() in ImageFolder.EXTENSIONS and file.is_file()

    if not path.is_dir():
        return [path] if is_image(path) else []
    found = (Path(folder, file) for folder, _, names in os.walk(path) for file in names)
    shown = (file for file in found if not any(p.startswith((".", "__")) for p in file.relative_to(path).parts))
    return sorted(file for file in shown if is_image(file))


def _labels(base: Path, names: list[str], wanted: Preprocessing) -> Target:
    """By the folder's metadata.csv, else by the name of the folder that an image lies in."""
    if not (base / METADATA).is_file():
        return _class_numbers((Path(base, name).parent.name for name in names), wanted)
    frame = read_csv(base / METADATA)
    place = sheet(str(base / METADATA))
    columns = [str(column) for column in frame.columns]
    column = _label_column(columns, wanted)
    if column is None:
        return _unknown(len(names), wanted)
    check_column(columns, "file_name", "column", place.text)
    by_file = frame[["file_name", column]].drop_duplicates()
    twice = by_file["file_name"].duplicated()
    if twice.any():
        raise InputError(
            f"{place.text}: {by_file['file_name'][twice].iloc[0]!r} has another {column} in "
            f"{place.row(by_file.index[twice][0])} than above it; one is needed: correct or drop a row"
        )
    return _targets(by_file.set_index("file_name")[column].reindex(names), wanted, place)


def _label_column(columns: list[str], wanted: Preprocessing) -> str | None:
    """The target's column where it is there: the one named in training, else the one called target or label."""
    if wanted.query.target is not None:
        return wanted.query.target if wanted.query.target in columns else None
    found = [column for column in columns if column.lower() in ("target", "label")]
    return found[0] if len(found) == 1 else None


def _targets(column: "pd.Series[Any]", wanted: Preprocessing, place: Place) -> Target:
    if not wanted.classes:
        return numbers(column, place).astype(np.float32)
    missing = column.isna().to_numpy()
    return _class_numbers((None if m else v for v, m in zip(column.tolist(), missing, strict=True)), wanted)


def _class_numbers(values: Iterable[object], wanted: Preprocessing) -> Target:
    """The class of each value, -1 where it is none; all NaN where the model answers with a quantity."""
    index: Mapping[str, int] = {as_text(name): i for i, name in enumerate(wanted.classes)}
    y = np.array([-1 if value is None else index.get(as_text(value), -1) for value in values], dtype=np.int64)
    return y if wanted.classes else _unknown(len(y), wanted)


def _unknown(count: int, wanted: Preprocessing) -> Target:
    return np.full(count, -1, dtype=np.int64) if wanted.classes else np.full(count, np.nan, dtype=np.float32)


def _held_out(name: str, wanted: Preprocessing) -> Fresh:
    """The test split of a source, cut as in training."""
    source = read(name, wanted.query)
    part = cut(source.y, source.classes, name, limit=None, seed=0, groups=source.groups)["test"]
    x = _encoded(source, part, wanted) if isinstance(source, Table) else source.splits[part.split].take(part.rows).x
    if isinstance(source, Table) != bool(wanted.features) or x.shape[1:] != wanted.input_shape:
        raise InputError(
            f"{name} holds {_said(isinstance(source, Table))} of shape {x.shape[1:]}, but the model takes "
            f"{_said(bool(wanted.features))} of shape {wanted.input_shape}"
        )
    if bool(source.classes) != bool(wanted.classes):
        raise InputError(f"{name}: the model is for {task_of(wanted.classes)}, the data for {task_of(source.classes)}")
    y = source.y[part.split][part.rows]
    if wanted.classes:
        y = _class_numbers((source.classes[i] for i in y.tolist()), wanted)
    return Fresh("row", tuple(map(str, part.rows.tolist())), x, y)


def _encoded(table: Table, part: Part, wanted: Preprocessing) -> NDArray[Any]:
    """The part's rows as the model's features; as those that it has itself where the model takes images."""
    if not wanted.features:
        return np.empty((0, len(table.kinds)))
    for column in wanted.features.columns:
        if table.kinds.get(column.name) != column.kind:
            raise InputError(f"there is no column {column.name!r} of kind {column.kind}, which the model needs")
    return wanted.features.encode({name: values[part.rows] for name, values in table.cells[part.split].items()})
