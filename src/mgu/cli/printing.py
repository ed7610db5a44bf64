"""Rows on standard output."""

import csv
import json
import sys
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.table import Table

#: What a terminal takes for a command rather than a letter.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}


def shown(text: str) -> str:
    """Text that somebody else may have written, for a terminal: what would move its cursor or change its colours, and
    what UTF-8 has not, stands as \\x1b."""
    return text.encode("utf-8", "backslashreplace").decode().translate(_CONTROLS)


def print_rows(rows: list[dict[str, Any]], style: str, bold: Iterable[bool]) -> None:
    """Rows as a table, those of MGU ``bold`` in it, CSV or JSON on standard output."""
    if style == "json":
        click.echo(json.dumps(rows, indent=2))
    elif style == "csv":
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        table = Table(*rows[0])
        for row, is_bold in zip(rows, bold, strict=True):
            numbers = {name: f"{value:,}" if name == "model_size" else str(value) for name, value in row.items()}
            table.add_row(*numbers.values(), style="bold" if is_bold else "")
        Console(soft_wrap=not sys.stdout.isatty()).print(table)
