"""The report's table in a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from mgu.report import conclusion, cost_words, words
from mgu.report.search_costs import SearchCosts
from mgu.report.summary import Row, Summary

#: Columns for which a terminal has no room; the lines below the table name the models that missed a seed.
_HIDDEN = ("rank", "seeds", "status")


def print_summary(summary: Summary, console: Console, costs: SearchCosts | None = None) -> None:
    """Print the table of models, best first and the MGU rows marked, what the answer rests on, and search costs.

    A narrow terminal shows fewer columns and says which are left out; a file or a pipe gets each row whole, on one
    line.
    """
    columns = [column for column in words.columns(summary.score) if column.header not in _HIDDEN]
    spares = ("layout", summary.score.header("train"), "latency", "size", "residual", "norm")  # first to go first
    left_out = []
    while console.is_terminal and _width(_table(summary, columns, console), console) > console.width:
        spare = next((column for name in spares for column in columns if column.header == name), None)
        if not spare:
            break
        columns.remove(spare)
        left_out.append(spare.header)
    table = _table(summary, columns, console)
    table.width = None if console.is_terminal else _width(table, console)
    console.print(table, crop=False)
    lines = {"Left out for want of width": "; ".join(left_out)} if left_out else {}
    of_searches = cost_words.lines(costs) if costs else {}
    for name, text in (lines | conclusion.facts(summary) | of_searches).items():
        console.print(_text(f"{name}: {text}", console), soft_wrap=True)


def _table(summary: Summary, columns: Sequence[words.Column[Row]], console: Console) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column.header, overflow="fold", justify="right" if column.numeric else "left")
    for row in summary.rows:
        cells = (_text(_cell(column, row), console) for column in columns)
        table.add_row(*cells, style="bold" if row.is_mgu else "")
    return table


def _width(table: Table, console: Console) -> int:
    """How wide the table is with every cell on one line."""
    return Measurement.get(console, console.options.update(max_width=100_000), table).maximum


def _cell(column: words.Column[Row], row: Row) -> str:
    marked = row.is_mgu and column.header == "model_name"
    return f"{column.text(row)} {words.MGU_MARK}" if marked else column.text(row)


def _text(text: str, console: Console) -> Text:
    """Text that is not read as markup, in characters that the console can show."""
    if not console.encoding.startswith("utf"):
        text = text.translate({ord("◀"): "<-", ord("±"): "+-", ord("²"): "2"})
        text = text.encode(console.encoding, "replace").decode(console.encoding)
    return Text("".join(letter if letter.isprintable() else " " for letter in text))
