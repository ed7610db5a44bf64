"""A CSV file as a data frame."""

import csv
import warnings
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from mgu.data.places import FIRST_ROW
from mgu.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

#: So many bytes are looked at in one piece.
CHUNK = 2**24

#: What ends the rows: no field has it, since a NUL is refused.
END = "\0"


def read_csv(path: Path) -> "pd.DataFrame":
    """The table, indexed by row as a spreadsheet counts (the header is row 1); empty rows are left out.

    Raises InputError where the file is not comma-separated UTF-8 text, has no rows, has a row of more or fewer fields
    than the header, leaves a quote open, or names two columns alike.
    """
    import pandas as pd

    try:
        # Warnings as errors, since pandas would drop what rows have beyond the header's fields.
        with warnings.catch_warnings(action="error"):
            _check_bytes(path)
            names = _checked_header(path)
            frame = _rows(path)
    except InputError:
        raise
    except UnicodeDecodeError:
        raise InputError(f"{path}: row {_not_utf8(path)} is not UTF-8 text; save the table as UTF-8 CSV") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise InputError(
            f"{path}: not a CSV table with as many fields in each row as in the header: {str(error).strip()}"
        ) from None
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from None
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: more than one column is called {', '.join(map(repr, twice))}; rename or drop one")
    if not len(frame):
        raise InputError(f"{path}: there are no rows below the header")
    return frame.set_axis(names, axis="columns")


def _check_bytes(path: Path) -> None:
    row = 1
    with path.open("rb") as file:
        if file.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE):
            raise InputError(f"{path}: it is UTF-16 text; save the table as UTF-8 CSV")
        file.seek(0)
        while chunk := file.read(CHUNK):
            before, nul, _ = chunk.partition(b"\0")
            row += before.count(b"\n")
            if nul:
                raise InputError(f"{path}: row {row} has a NUL, which no text has; save the table as UTF-8 CSV")


def _not_utf8(path: Path) -> int:
    """The first row that is not UTF-8."""
    with path.open("rb") as file:
        for row, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return row
    return 1


def _checked_header(path: Path) -> list[str]:
    """The columns' names, once every row with any text in it is known to have as many fields."""
    with path.open(encoding="utf-8-sig", newline="") as file, _long_fields():
        rows = _fields_by_row(path, file)
        names = [name.strip() for name in next(rows, (1, []))[1]]
        if not names:
            raise InputError(f"{path}: the file is empty, or its first line is; a header and rows are needed")
        _check_separator(path, names)
        for row, fields in rows:
            if len(fields) != len(names) and any(map(str.strip, fields)):
                raise InputError(
                    f"{path}: not a CSV table with as many fields in each row as in the header: the header (row 1) has "
                    f"{_counted(len(names))}, but row {row} has {_counted(len(fields))}; correct the row, or take out "
                    "what stands above the header"
                )
    return names


def _fields_by_row(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Each row's number, as a spreadsheet counts, and its fields. Raises InputError for a quote that stays open."""
    for row, fields in enumerate(csv.reader(chain(lines, [END]), skipinitialspace=True), 1):
        if fields == [END]:
            return
        if fields and fields[-1].endswith(END):
            raise InputError(
                f"{path}: not a CSV table: a quote is opened in row {row} and never closed; close it, or take it out"
            )
        yield row, fields


@contextmanager
def _long_fields() -> Iterator[None]:
    """With fields of any length."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _counted(fields: int) -> str:
    return f"{fields} field{'s' * (fields != 1)}"


def _check_separator(path: Path, names: list[str]) -> None:
    for separator, called in ((";", "a semicolon"), ("\t", "a tab"), ("|", "a bar")):
        if len(names) == 1 and separator in names[0]:
            raise InputError(f"{path}: its fields are separated by {called}, not by a comma; save it comma-separated")


def _rows(path: Path) -> "pd.DataFrame":
    import pandas as pd

    frame = pd.read_csv(path, skipinitialspace=True, skip_blank_lines=False, index_col=False, low_memory=False)
    frame.index += FIRST_ROW
    return frame.dropna(how="all")
