"""Parquet files, looked at before they are read."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mgu.data.mapped import room
from mgu.data.places import FIRST_ROW
from mgu.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

#: The values of a table take at most this share of the memory that is free, at 8 bytes each: they are there as they
#: were read, as cells, as features, and once more in the network's number format.
SHARE = 1 / 4


def check_parquet(paths: Iterable[Path], source: str) -> None:
    """Raise InputError, naming the file or the ``source`` of them all, for a file that is no Parquet, has no rows, or
    names two columns alike, and where all of them hold more values than memory has room for. No row is read: the rows
    of a small file may take any amount of memory."""
    from pyarrow import ArrowException, parquet

    values = 0
    for path in paths:
        try:
            with parquet.ParquetFile(path) as file:
                names, rows, columns = file.schema_arrow.names, file.metadata.num_rows, file.metadata.num_columns
        except (OSError, ValueError, ArrowException) as error:
            raise InputError(f"{path}: cannot be read as Parquet: {_first_line(error)}") from None
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{path}: more than one column is called {', '.join(map(repr, twice))}; rename one")
        if not rows:
            raise InputError(f"{path}: there are no rows; add some, or take the file away")
        values += rows * columns
    if 8 * values > room(SHARE):
        raise InputError(
            f"{source}: {values:,} values take {8 * values / 1e9:.3g} GB, more than {SHARE:.0%} of the memory that is "
            "free; take fewer rows or columns"
        )


def read_parquet(path: Path) -> "pd.DataFrame":
    """The table, indexed by row as a spreadsheet counts; all of the file's columns are columns, pandas' index too.

    Raises InputError for what ``check_parquet`` refuses, and for what cannot be read.
    """
    from pyarrow import ArrowException, parquet

    check_parquet([path], str(path))
    try:
        with parquet.ParquetFile(path) as file:
            frame: pd.DataFrame = file.read().to_pandas(ignore_metadata=True)
    except (OSError, ValueError, MemoryError, ArrowException) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {_first_line(error)}") from None
    frame.index += FIRST_ROW
    return frame


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
