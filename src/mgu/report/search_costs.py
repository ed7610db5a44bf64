"""What it costs to search the grid by other means than MGU, from a study's records.

The target is the validation score of the best plain model, its mean over the seeds; it is the same at each seed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf, isfinite
from statistics import fmean

from mgu.report.score import Score
from mgu.report.summary import Summary
from mgu.report.tables import hardened_records, summarise
from mgu.rivals import STRATEGIES, Outcome, Run, Strategy
from mgu.rivals.exhaustive import expected_reached_s
from mgu.rivals.spread import Paired, Spread
from mgu.study.trial import Record, StudyView

#: The plain runs of each seed.
_Grids = tuple[tuple[Run, ...], ...]


@dataclass(frozen=True)
class SearchCost:
    """What one model or search takes, over the study's seeds and, of a search that draws, over its own ("replays" are
    all of them together): seconds until it ends, seconds until it first has evaluated a model at or above the target
    (infinite where it never has), and the share of the replays in which it has. ``val_score`` and ``test_score``, as
    the study shows scores, are of the model that it picks; their medians are over the replays that pick one.

    All are None where it is ``missing``, which says why. ``expected_s`` is the mean over all orders of a random search.
    """

    name: str
    kind: str
    about: str
    replays: int = 0
    cost_s: Spread | None = None
    to_target_s: Spread | None = None
    reached: float | None = None
    val_score: Spread | None = None
    test_score: Spread | None = None
    expected_s: float | None = None
    missing: str = ""


@dataclass(frozen=True)
class Against:
    """The best MGU model, or what it was hardened to, minus the best plain model at each seed: validation and test
    score, where both are finite, and seconds. ``break_even`` is how many cells of mean cost are as dear as it: a grid
    of more is dearer."""

    name: str
    val_score: Paired | None
    test_score: Paired | None
    cost_s: Paired | None
    break_even: float


@dataclass(frozen=True)
class SearchCosts:
    """The costs of a study's models and of the searches asked for. ``target`` is a validation score, as ``score`` shows
    it; ``missing`` says why nothing is known, and is else empty. ``mgu`` is the name of the best MGU model,
    ``hardened`` of what it was hardened to and ``plain`` of the best plain one, empty where there is none."""

    score: Score
    rows: tuple[SearchCost, ...]
    missing: str = ""
    target: float | None = None
    seeds: tuple[int, ...] = ()
    plain: str = ""
    mgu: str = ""
    hardened: str = ""
    against: tuple[Against, ...] = ()

    def row(self, name: str) -> SearchCost | None:
        """The row of that name; None where there is none, or nothing is known."""
        return next((row for row in self.rows if row.name == name and not row.missing), None)


def search_costs(view: StudyView, rivals: Iterable[str]) -> SearchCosts:
    """The search costs of a study: of every model trained alone, and of the strategies of these names.

    Only whole grids are searched: where a cell has no result, or was left out, all is ``missing``.
    """
    names = list(rivals)
    summary = summarise(view)
    missing = _missing(summary)
    best = summary.best_plain
    if missing or not best or not best.val_score:
        rows = (SearchCost(name, "search", STRATEGIES[name].about, missing=missing) for name in names)
        return SearchCosts(summary.score, tuple(rows), missing)
    score = summary.score
    target = best.val_score.mean / score.scale
    models = _models(view.records)
    seeds = _seeds(models)
    grids = tuple(tuple(model.runs[seed] for model in models.values() if not model.is_mgu) for seed in seeds)
    mgu = summary.best_mgu.model_name if summary.best_mgu else ""
    hardened = summary.hardened.row.model_name if summary.hardened else ""
    return SearchCosts(
        score=score,
        rows=(
            *(_model(name, [model.runs[seed] for seed in seeds], target, score) for name, model in models.items()),
            *(_search(name, grids, target, score) for name in names),
        ),
        target=best.val_score.mean,
        seeds=tuple(seeds),
        plain=best.model_name,
        mgu=mgu,
        hardened=hardened,
        against=tuple(
            _against(name, models[name].runs, models[best.model_name].runs, grids, score)
            for name in (hardened, mgu)
            if name
        ),
    )


def _missing(summary: Summary) -> str:
    if summary.ended < summary.total:
        return f"{summary.ended} of {summary.total} trials ended"
    if summary.plain_models < summary.grid_size:
        return f"{summary.plain_models} of the grid's {summary.grid_size} plain models were run"
    if not summary.grid_cost:
        return "no seed was run on every plain model"
    if not summary.best_plain:
        return "no plain model finished"
    if summary.mgu_cost and summary.grid_cost.seeds != summary.mgu_cost.seeds:
        return "no seed was run on the MGU model and every plain one"
    return ""


@dataclass(frozen=True)
class _Model:
    is_mgu: bool
    runs: dict[int, Run] = field(default_factory=dict)


def _models(records: Sequence[Record]) -> dict[str, _Model]:
    """By model, its ended runs by seed. Where an MGU network ended without it, what it was hardened to is missed too,
    at the same cost."""
    by_name: dict[str, list[Record]] = {}
    for record in records:
        by_name.setdefault(record.trial.model_name, []).append(record)
    every = [*records, *(hard for of_model in by_name.values() for hard in hardened_records(of_model))]
    models: dict[str, _Model] = {}
    for record in every:
        run = Run.of(record)
        if run:
            models.setdefault(run.name, _Model(record.trial.is_mgu)).runs[record.trial.seed] = run
    return models


def _seeds(models: Mapping[str, _Model]) -> list[int]:
    """The seeds that every model has ended."""
    return sorted(set[int].intersection(*(set(model.runs) for model in models.values())))


def _model(name: str, runs: Sequence[Run], target: float, score: Score) -> SearchCost:
    outcomes = [Outcome(run.total_s, run.reached_s(target), run if run.finished else None) for run in runs]
    return _row(name, "model", "trained alone", outcomes, score)


def _search(name: str, grids: _Grids, target: float, score: Score) -> SearchCost:
    strategy = STRATEGIES[name]
    if strategy.missing:
        return SearchCost(name, "search", strategy.about, missing=strategy.missing)
    expected = fmean(expected_reached_s(runs, target) for runs in grids) if name == "random" else None
    return _row(name, "search", strategy.about, _outcomes(strategy, grids, target), score, expected)


@lru_cache(maxsize=len(STRATEGIES))  # the files and the terminal show the same, and Optuna takes seconds
def _outcomes(strategy: Strategy, grids: _Grids, target: float) -> list[Outcome]:
    return [strategy.replay(runs, target, seed) for runs in grids for seed in range(strategy.replays)]


def _row(
    name: str, kind: str, about: str, outcomes: Sequence[Outcome], score: Score, expected_s: float | None = None
) -> SearchCost:
    picks = [outcome.pick for outcome in outcomes if outcome.pick]
    return SearchCost(
        name,
        kind,
        about,
        replays=len(outcomes),
        cost_s=Spread.of(outcome.cost_s for outcome in outcomes),
        to_target_s=Spread.of(outcome.reached_s for outcome in outcomes),
        reached=fmean(outcome.reached_s < inf for outcome in outcomes),
        val_score=Spread.of(score.scale * run.val_score for run in picks if run.val_score is not None),
        test_score=Spread.of(score.scale * run.test_score for run in picks if run.test_score is not None),
        expected_s=expected_s,
    )


def _against(name: str, runs: Mapping[int, Run], plain: Mapping[int, Run], grids: _Grids, score: Score) -> Against:
    mean_cell_s = fmean(run.total_s for cells in grids for run in cells)
    both = sorted(runs.keys() & plain.keys())
    return Against(
        name,
        val_score=_paired((seed, runs[seed].val_score, plain[seed].val_score, score.scale) for seed in both),
        test_score=_paired((seed, runs[seed].test_score, plain[seed].test_score, score.scale) for seed in both),
        cost_s=_paired((seed, runs[seed].total_s, plain[seed].total_s, 1) for seed in both),
        break_even=fmean(run.total_s for run in runs.values()) / mean_cell_s,
    )


def _paired(pairs: Iterable[tuple[int, float | None, float | None, float]]) -> Paired | None:
    known = ((seed, scale * (a - b)) for seed, a, b, scale in pairs if a is not None and b is not None)
    return Paired.of([(seed, difference) for seed, difference in known if isfinite(difference)])
