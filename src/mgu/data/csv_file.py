"""A CSV file as a data frame."""

import warnings
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import TYPE_CHECKING

from mgu.data.places import FIRST_ROW
from mgu.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

#: So many bytes are looked at in one piece.
CHUNK = 2**24


def read_csv(path: Path) -> "pd.DataFrame":
    """The table, indexed by row as a spreadsheet counts (the header is row 1); empty rows are left out.

    Raises InputError where the file is not comma-separated UTF-8 text, has no rows, or names two columns alike.
    """
    import pandas as pd

    try:
        # Warnings as errors, since pandas would drop what rows have beyond the header's fields.
        with warnings.catch_warnings(action="error"):
            _check_bytes(path)
            names = _header(path)
            _check_separator(path, names)
            frame = _rows(path)
    except InputError:
        raise
    except pd.errors.EmptyDataError:
        raise InputError(f"{path}: the file is empty, or its first line is; a header and rows are needed") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: row {_not_utf8(path)} is not UTF-8 text; save the table as UTF-8 CSV") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise InputError(
            f"{path}: not a CSV table with as many fields in each row as in the header: {str(error).strip()}"
        ) from None
    except (OSError, ValueError) as error:
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


def _header(path: Path) -> list[str]:
    import pandas as pd

    # By itself, because pandas renames columns of the same name.
    header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, skip_blank_lines=False)
    return [str(name).strip() for name in header.iloc[0]]


def _check_separator(path: Path, names: list[str]) -> None:
    for separator, called in ((";", "a semicolon"), ("\t", "a tab"), ("|", "a bar")):
        if len(names) == 1 and separator in names[0]:
            raise InputError(f"{path}: its fields are separated by {called}, not by a comma; save it comma-separated")


def _rows(path: Path) -> "pd.DataFrame":
    import pandas as pd

    frame = pd.read_csv(path, skipinitialspace=True, skip_blank_lines=False, index_col=False, low_memory=False)
    frame.index += FIRST_ROW
    return frame.dropna(how="all")
