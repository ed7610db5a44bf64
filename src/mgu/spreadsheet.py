"""Text that a spreadsheet shows and does not work out."""

import re

#: What spreadsheets take for the beginning of a formula.
_FORMULA = re.compile(r"[=+\-@\t\r]")


def inert(cell: object) -> object:
    """A cell of a CSV file as it is, but text that a spreadsheet would take for a formula with an apostrophe in front;
    a number is none. Source: OWASP, "CSV Injection"."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) and not _is_number(cell) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
        return True
    except ValueError:
        return False
