"""Where a row lies, in the words of an error message."""

from dataclasses import dataclass

#: The first row below a spreadsheet's header.
FIRST_ROW = 2


@dataclass(frozen=True)
class Place:
    """A source or one split of it, and how its rows are numbered."""

    text: str
    numbering: str

    def row(self, number: object) -> str:
        return f"row {number} ({self.numbering})"


def sheet(text: str) -> Place:
    """A table, numbered as a spreadsheet shows it."""
    return Place(text, "the header is row 1")


def sequence(text: str) -> Place:
    """Images, numbered as ``datasets`` does."""
    return Place(text, "counted from 0")
