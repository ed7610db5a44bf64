"""The report's files: every trial as CSV, and the page in HTML and in Markdown with its pictures."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mgu.files import write_whole
from mgu.report import answer_words, conclusion, cost_table, cost_words, spending_words, words
from mgu.report.answers import answers, model_errors
from mgu.report.cost_plot import cost_figure
from mgu.report.plots import figure_svg, history_figure
from mgu.report.published import Published, read_published
from mgu.report.rendering import render
from mgu.report.saved_diagnosis import SavedDiagnosis, read_diagnosis
from mgu.report.search_costs import search_costs
from mgu.report.sections import sections
from mgu.report.spending import spending
from mgu.report.spending_plot import spending_figure
from mgu.report.summary import Summary
from mgu.report.tables import summarise
from mgu.report.trial_table import columns, trial_rows
from mgu.spreadsheet import inert
from mgu.study.trial import Record, StudyView

_MISSED = ("diverged", "failed")


def write_report(view: StudyView, folder: Path, searches: Sequence[str] = ()) -> list[Path]:
    """Write a study's report into ``folder``, whatever part of the study has ended, and return the files' paths.

    ``results.csv`` has a row a trial; ``report.html`` is one page that needs nothing else; ``report.md`` shows
    ``cost.svg``, ``history.svg`` and ``spending.svg``. Both show what the folder of the best MGU model's first finished
    trial has of its self-diagnosis. With ``searches``, names of ``mgu.rivals.STRATEGIES``, they say what these searches
    cost, and ``search_costs.csv`` has a row a model and a search; without, an older one is removed. Where the folder
    has the reader's ``published.csv`` (see ``read_published``), its figures stand beside the study's own.

    Raises InputError for a ``published.csv`` that cannot be used. Each file is whole or absent: where writing fails,
    which raises OSError, what stood there before stays.
    """
    summary = summarise(view)
    costs = search_costs(view, searches) if searches else None
    figures = {
        "cost": cost_figure(summary),
        "history": history_figure(view),
        "spending": spending_figure(view, summary),
    }
    pictures = {name: figure_svg(figure) for name, figure in figures.items()}
    content = _content(view, summary) | {
        "pictures": pictures,
        "alts": {name: str(figure.get_label()) for name, figure in figures.items()},
        "columns": words.columns(summary.score, _published(summary, folder)),
        "diagnosis": _diagnosis(view, summary, folder),
        "costs": costs,
    }
    content["sections"] = sections(content, summary.score)
    files = {
        "results.csv": _csv(columns(summary.score), trial_rows(view)),
        **({"search_costs.csv": _csv(cost_table.COLUMNS, cost_table.cost_rows(costs))} if costs else {}),
        **{f"{name}.svg": svg for name, svg in pictures.items()},
        "report.md": render("page.md.j2", content),
        "report.html": render("page.html.j2", content),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_whole(folder / name, text.encode("utf-8", "backslashreplace"))  # a message may have what UTF-8 has not
    if not costs:
        (folder / "search_costs.csv").unlink(missing_ok=True)  # of a report before, which had searches
    return [folder / name for name in files]


def _content(view: StudyView, summary: Summary) -> dict[str, Any]:
    data = view.settings.get("data", {})
    data = data if isinstance(data, Mapping) else {}
    taken = spending(view, summary)
    return {
        "data_name": data.get("name") or "the data",
        "note": data.get("note"),
        "summary": summary,
        "records": [record for trial in view.records for record in _gone_wrong(trial)],
        "settings": dict(_flat(view.settings)),
        "environment": dict(_flat(view.environment)),
        "commands": view.commands,
        "answers": answers(view, summary),
        "errors": model_errors(view, summary),
        "spending": taken,
        "took": taken.rows,
        "words": words,
        "conclusion": conclusion,
        "answer_words": answer_words,
        "cost_words": cost_words,
        "spending_words": spending_words,
    }


def _published(summary: Summary, folder: Path) -> dict[str, Published]:
    """What was published of the study's models."""
    names = {row.model_name for row in summary.rows}
    return {name: known for name, known in read_published(folder, summary.score).items() if name in names}


def _diagnosis(view: StudyView, summary: Summary, folder: Path) -> SavedDiagnosis | None:
    """That of the best MGU model's first finished trial."""
    best = summary.best_mgu.model_name if summary.best_mgu else None
    of_best = [record for record in view.records if record.trial.model_name == best and record.status == "finished"]
    return read_diagnosis(folder, min(of_best, key=lambda record: record.trial.seed)) if of_best else None


def _gone_wrong(record: Record) -> Iterator[Record]:
    """The record, the one of what it was hardened to, or none; time is lost by both, and told once."""
    if record.status in _MISSED or record.lost_s > 0 or _message(record):
        yield record
    if record.hardened and (record.hardened.status in _MISSED or _message(record.hardened)):
        yield record.hardened


def _message(record: Record) -> str:
    """What is told of a record, such as why an MGU network that finished was not hardened."""
    return record.result.message if record.result else ""


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
    writer.writerows({name: inert(cell) for name, cell in row.items()} for row in rows)
    return text.getvalue()
