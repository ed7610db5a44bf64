"""The report's files: every trial as CSV, and the page in HTML and in Markdown with its pictures."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from mgu.files import write_whole
from mgu.report import cost_table, cost_words, words
from mgu.report.plots import cost_figure, figure_svg, history_figure
from mgu.report.saved_diagnosis import SavedDiagnosis, read_diagnosis
from mgu.report.search_costs import search_costs
from mgu.report.summary import Summary
from mgu.report.tables import COLUMNS, summarise, trial_rows
from mgu.study.trial import Record, StudyView

#: What Markdown may read as markup inside a line: a link's "](", an underscore that is not inside a word, and the rest.
_MARKUP = re.compile(r"\](?=\()|(?<![^\W_])_|_(?![^\W_])|[\\`*|~]")

_MISSED = ("diverged", "failed")


def write_report(view: StudyView, folder: Path, searches: Sequence[str] = ()) -> list[Path]:
    """Write a study's report into ``folder``, whatever part of the study has ended, and return the files' paths.

    ``results.csv`` has a row a trial; ``report.html`` is one page that needs nothing else; ``report.md`` shows
    ``cost.svg`` and ``history.svg``. Both show what the folder of the best MGU model's first finished trial has of its
    self-diagnosis. With ``searches``, names of ``mgu.rivals.STRATEGIES``, they say what these searches cost, and
    ``search_costs.csv`` has a row a model and a search.

    Each file is whole or absent: where writing fails, which raises OSError, what stood there before stays.
    """
    summary = summarise(view)
    costs = search_costs(view, searches) if searches else None
    figures = {"cost": cost_figure(summary), "history": history_figure(view)}
    pictures = {name: figure_svg(figure) for name, figure in figures.items()}
    alts = {name: str(figure.get_label()) for name, figure in figures.items()}
    content = _content(view, summary) | {
        "pictures": pictures,
        "alts": alts,
        "diagnosis": _diagnosis(view, summary, folder),
        "costs": costs,
    }
    files = {
        "results.csv": _csv(COLUMNS, trial_rows(view)),
        **({"search_costs.csv": _csv(cost_table.COLUMNS, cost_table.cost_rows(costs))} if costs else {}),
        **{f"{name}.svg": svg for name, svg in pictures.items()},
        "report.md": _environment().get_template("report.md.j2").render(content),
        "report.html": _environment().get_template("report.html.j2").render(content),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_whole(folder / name, text.encode("utf-8", "backslashreplace"))  # a message may have what UTF-8 has not
    return [folder / name for name in files]


def _content(view: StudyView, summary: Summary) -> dict[str, Any]:
    data = view.settings.get("data", {})
    data = data if isinstance(data, Mapping) else {}
    return {
        "data_name": data.get("name") or "the data",
        "note": data.get("note"),
        "summary": summary,
        "records": [record for trial in view.records for record in _gone_wrong(trial)],
        "settings": dict(_flat(view.settings)),
        "environment": dict(_flat(view.environment)),
        "commands": view.commands,
        "words": words,
        "cost_words": cost_words,
    }


def _diagnosis(view: StudyView, summary: Summary, folder: Path) -> SavedDiagnosis | None:
    """That of the best MGU model's first finished trial."""
    best = summary.best_mgu.model_name if summary.best_mgu else None
    of_best = [record for record in view.records if record.trial.model_name == best and record.status == "finished"]
    return read_diagnosis(folder, min(of_best, key=lambda record: record.trial.seed)) if of_best else None


def _gone_wrong(record: Record) -> Iterator[Record]:
    """The record, the one of what it was hardened to, or none; time is lost by both, and told once."""
    if record.status in _MISSED or record.lost_s > 0:
        yield record
    if record.hardened and record.hardened.status in _MISSED:
        yield record.hardened


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names with their values as text."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield (
                f"{prefix}{key}",
                value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str),
            )


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mgu.report", ""),
        autoescape=select_autoescape(("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["markdown"] = _markdown
    environment.filters["svg"] = Markup
    environment.filters["url"] = quote
    return environment


def _markdown(value: object) -> str:
    """Text for one line or table cell of Markdown, none of which is read as markup."""
    text = escape(" ".join(str(value).split()), quote=False)
    return _MARKUP.sub(r"\\\g<0>", text)
