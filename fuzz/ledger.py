"""Whatever a study's ledger says, it is reported or refused: ``python fuzz/ledger.py -max_total_time=600``.

The input is a ledger's content as JSON, or the bytes of its file.
"""

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

#: One in so many studies has its whole report written, pictures too.
REPORTED = 100


def seeds() -> Iterator[bytes]:
    """A small study: a plain model, and one with gates that was hardened."""
    yield json.dumps(content()).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), content())
        yield path.read_bytes()


def content() -> dict[str, Any]:
    """What the ledger of the small study says."""
    from mgu.history import Answers, Decision, Energy, Epoch, Flops, Hardening, Result, Usage
    from mgu.layouts import Layout
    from mgu.spaces import Architecture, Cell
    from mgu.study.trial import Trial

    usage = Usage((Energy("cpu", 0.1, "measured", "RAPL"),), None, None, 1.0, 1.5, 0.0, 100.0, None, 400.0, "DEU", 2.0)
    epochs = tuple(
        Epoch(i, 0.5 / i, 0.8, 0.6, 0.7 + i / 10, float(i), {"layer_1": {"norm": 0.4, "skip": 0.9}}) for i in (1, 2)
    )
    answers = Answers(((5, 1), (0, 4)), 0.3)
    measured: dict[str, Any] = {"test_answers": answers, "test_case_answers": answers, "usage": usage}
    operations: dict[str, Any] = {"step_flops": Flops(10, 12), "run_flops": Flops(100, 120)}
    done = Result("finished", 2.5, 2.0, 0.1, 0.9, 0.8, 0.7, 1, epochs, "", 0.01, None, **measured, **operations)
    hardening = Hardening(1, 50, (Decision("layer_1", "skip", "residual", 0.9, 0.01),), 0.5, 64, 0.004, 0.001, "", done)
    soft = Result("finished", 2.0, 1.5, 0.1, 0.9, 0.8, 0.7, 2, epochs, "", 0.02, hardening, **measured, **operations)
    layout = Layout(2, 1, 2, 5, 1.5)
    trials = [
        (Trial("A_001", Architecture(layout, Cell("ln", True)), 10, 0), done),
        (Trial("A_MGU_001", Architecture(layout), 30, 0), soft),
        (Trial("A_002", Architecture(layout, Cell("bn_pre", False)), 10, 0), Result("failed", 1.0, message="it broke")),
        (Trial("A_003", Architecture(layout, Cell("bn_post", False)), 10, 0), None),
    ]
    data = {"name": "digits", "task": "classification", "class_names": ["a", "b"], "validation": 9, "test": 10}
    told = {
        "study": {
            "settings": {"data": data, "space": {"layouts": [[2, 1, 2, 5, 1.5]], "cells": ["ln"]}, "training": {}},
            "commands": ["mgu compare digits"],
        },
        "trials": [
            {
                "trial": asdict(trial),
                "status": result.status if result else "pending",
                "attempts": 1,
                "elapsed_s": 1.0,
                "lost_s": 0.5,
                "environment": {"torch": "2"},
                "result": asdict(result) if result else None,
            }
            for trial, result in trials
        ],
    }
    return dict(json.loads(json.dumps(told)))


def write(folder: Path, content: Any) -> Path:
    """A ledger that says so, as far as its file can."""
    from mgu.study import ledger

    path = folder / ledger.FILE
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(ledger._SCHEMA)
        for name, value in content["study"].items():
            connection.execute("INSERT INTO study VALUES (?, ?)", (name, json.dumps(value)))
        for i, row in enumerate(content["trials"]):
            columns = {"key": str(i), **{name: _stored(value) for name, value in row.items()}}
            marks = ", ".join("?" * len(columns))
            connection.execute(f"INSERT INTO trials ({', '.join(columns)}) VALUES ({marks})", [*columns.values()])
        connection.commit()
    return path


def _stored(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def check(content: bytes) -> None:
    """Read the study, and tell of it. Raises what nobody expects."""
    from mgu.errors import InputError
    from mgu.progress import standing
    from mgu.report import conclusion
    from mgu.report.answers import answers, model_errors
    from mgu.report.page import write_report
    from mgu.report.spending import spending
    from mgu.report.tables import summarise
    from mgu.report.trial_table import trial_rows
    from mgu.study.ledger import FILE, read_study

    with tempfile.TemporaryDirectory(dir=_memory()) as name:
        folder = Path(name)
        if content.startswith(b"SQLite format 3"):
            (folder / FILE).write_bytes(content)
        else:
            try:
                write(folder, json.loads(content))
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, sqlite3.Error):
                return  # no file can say so
        with suppress(InputError):
            view = read_study(folder)
            summary = summarise(view)
            conclusion.answer(summary)
            told = [list(trial_rows(view)), list(standing(view)), answers(view, summary), model_errors(view, summary)]
            told += [spending(view, summary), str(view.records)]
            if sum(content) % REPORTED == 0:
                write_report(view, folder)


def _memory() -> str | None:
    """A folder in memory, where the system has one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    from target import fuzz

    fuzz(check, seeds)
