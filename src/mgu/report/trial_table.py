"""Every number of a study, trial by trial: what results.csv has."""

from typing import Any

from mgu.report.score import Score, score_of
from mgu.report.tables import summarise
from mgu.report.trial_cells import ANSWER_COLUMNS, COST_COLUMNS, answer_cells, cost_cells
from mgu.study.trial import ENDED, Record, StudyView

_SPLITS = ("train", "val", "test")


def columns(score: Score) -> tuple[str, ...]:
    """The columns of ``trial_rows``, in order: train_acc, val_acc and test_acc are called after the score."""
    return (
        "model_name", "layout", "norm", "residual", "model_size", "tts_s", *map(score.column, _SPLITS), "seed",
        "status", "train_s", "compile_s", "best_epoch", "epochs", "attempts", "lost_s", "message", "latency_s", "kind",
        *ANSWER_COLUMNS[score], *COST_COLUMNS,
    )  # fmt: skip


def trial_rows(view: StudyView) -> list[dict[str, Any]]:
    """One row a record under ``columns``, and one a hardened network, None where unknown: best model first, then by
    seed; not-ended ones last.

    Scores are to 4 decimals, accuracies in per cent; times in seconds, to 3, latency to 6. ``epochs`` counts those of
    the history.
    """
    score = score_of(view)
    place = {row.model_name: i for i, row in enumerate(summarise(view).rows)}
    records = [*view.records, *(record.hardened for record in view.records if record.hardened)]
    order = sorted(records, key=lambda r: (r.status not in ENDED, place[r.trial.model_name], r.trial.seed))
    return [_trial_row(record, score) for record in order]


def _trial_row(record: Record, score: Score) -> dict[str, Any]:
    result = record.result
    names = ("model_name", "layout", "norm", "residual", "model_size", "kind")
    scores = {split: score.shown(getattr(result, f"{split}_score", None)) for split in _SPLITS}
    known = {
        **{name: getattr(record.trial, name) for name in names},
        **{name: _round(getattr(result, name, None), 3) for name in ("tts_s", "train_s", "compile_s")},
        "latency_s": _round(result.latency_s if result else None, 6),
        **{score.column(split): _round(figure, 4) for split, figure in scores.items()},
        "seed": record.trial.seed,
        "status": record.status,
        "best_epoch": result.best_epoch if result else None,
        "epochs": len(result.history) if result else None,
        "attempts": record.attempts,
        "lost_s": _round(record.lost_s, 3),
        "message": result.message if result else None,
        **answer_cells(result),
        **cost_cells(result),
    }
    return {column: known.get(column) for column in columns(score)}


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
