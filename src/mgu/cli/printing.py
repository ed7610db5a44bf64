"""Rows on standard output."""

import csv
import json
import sys
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.table import Table


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
