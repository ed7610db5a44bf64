"""What it costs to search the grid by other means than MGU, from a study's records.

All is of the seeds that every cell of the grid and the best MGU model have. The target is the validation score of the
best plain model, its mean over these seeds; it is the same at each of them.
"""

from collections.abc import Iterable, Sequence
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
    """What one model or search takes, over the shared seeds and, of a search that draws, over its own ("replays" are
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
    score, where both are finite, and seconds. ``break_even`` is how many cells of mean cost are as dear as it over the
    shared seeds: a grid of more is dearer."""

    name: str
    val_score: Paired | None
    test_score: Paired | None
    cost_s: Paired | None
    break_even: float


@dataclass(frozen=True)
class EverySeed:
    """At how many of all the ``seeds`` that a model has ended it ``met`` the target, and after how many seconds, the
    mean over those where it did; None where it never did."""

    name: str
    seeds: tuple[int, ...]
    met: int
    to_target_s: float | None


@dataclass(frozen=True)
class SearchCosts:
    """The costs of a study's models and of the searches asked for, over the ``seeds`` that every cell has. ``target``
    is a validation score, as ``score`` shows it, the mean over ``target_seeds``, those of the seeds that the best plain
    model finished; ``missing`` says why nothing is known, and is else empty. ``mgu`` is the name of the best MGU model,
    ``hardened`` of what it was hardened to and ``plain`` of the best plain one, empty where there is none."""

    score: Score
    rows: tuple[SearchCost, ...]
    missing: str = ""
    target: float | None = None
    target_seeds: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()
    plain: str = ""
    mgu: str = ""
    hardened: str = ""
    against: tuple[Against, ...] = ()
    every_seed: tuple[EverySeed, ...] = ()

    def row(self, name: str) -> SearchCost | None:
        """The row of that name; None where there is none, or nothing is known."""
        return next((row for row in self.rows if row.name == name and not row.missing), None)


def search_costs(view: StudyView, rivals: Iterable[str]) -> SearchCosts:
    """The search costs of a study: of every model trained alone, and of the strategies of these names.

    Only whole grids are searched: where a cell has no result, or was left out, all is ``missing``.
    """
    names, summary = list(rivals), summarise(view)
    score, best = summary.score, summary.best_plain
    models = _models(view.records)
    seeds = summary.grid_cost.seeds if summary.grid_cost else ()
    known = _finished_scores(models[best.model_name], seeds) if best else {}
    missing = _missing(summary) or ("" if known else "the best plain model finished no seed that every cell has")
    if missing or not best:
        rows = (SearchCost(name, "search", STRATEGIES[name].about, missing=missing) for name in names)
        return SearchCosts(score, tuple(rows), missing)
    target = fmean(known.values())
    grids = tuple(tuple(model.runs[seed] for model in models.values() if model.kind == "plain") for seed in seeds)
    mgu = summary.best_mgu.model_name if summary.best_mgu else ""
    hardened = summary.hardened.row.model_name if summary.hardened else ""
    compared = [models[name] for name in (hardened, mgu) if name]
    return SearchCosts(
        score=score,
        rows=(
            *(row for model in models.values() if (row := _model(model, seeds, target, score))),
            *(_search(name, grids, target, score) for name in names),
        ),
        target=target * score.scale,
        target_seeds=tuple(known),
        seeds=seeds,
        plain=best.model_name,
        mgu=mgu,
        hardened=hardened,
        against=tuple(_against(model, models[best.model_name], grids, seeds, score) for model in compared),
        every_seed=tuple(_every_seed(model, target) for model in (*compared, models[best.model_name])),
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
    name: str
    kind: str
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
            models.setdefault(run.name, _Model(run.name, record.trial.kind)).runs[record.trial.seed] = run
    return models


def _finished_scores(model: _Model, seeds: Iterable[int]) -> dict[int, float]:
    """The validation score at each of the seeds that it finished."""
    scores = {seed: model.runs[seed].val_score for seed in seeds if seed in model.runs}
    return {seed: score for seed, score in scores.items() if score is not None}


def _model(model: _Model, seeds: Iterable[int], target: float, score: Score) -> SearchCost | None:
    """Its row over those of the seeds that it has ended; None where there are none."""
    runs = [model.runs[seed] for seed in seeds if seed in model.runs]
    outcomes = [Outcome(run.total_s, run.reached_s(target), run if run.finished else None) for run in runs]
    return _row(model.name, "model", "trained alone", outcomes, score) if outcomes else None


def _every_seed(model: _Model, target: float) -> EverySeed:
    times = [run.reached_s(target) for run in model.runs.values()]
    met = [time for time in times if time < inf]
    return EverySeed(model.name, tuple(sorted(model.runs)), len(met), fmean(met) if met else None)


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


def _against(model: _Model, best: _Model, grids: _Grids, seeds: Sequence[int], score: Score) -> Against:
    mean_cell_s = fmean(run.total_s for cells in grids for run in cells)
    runs, plain = model.runs, best.runs
    both = sorted(runs.keys() & plain.keys())
    return Against(
        model.name,
        val_score=_paired((seed, runs[seed].val_score, plain[seed].val_score, score.scale) for seed in both),
        test_score=_paired((seed, runs[seed].test_score, plain[seed].test_score, score.scale) for seed in both),
        cost_s=_paired((seed, runs[seed].total_s, plain[seed].total_s, 1) for seed in both),
        break_even=fmean(runs[seed].total_s for seed in seeds) / mean_cell_s,
    )


def _paired(pairs: Iterable[tuple[int, float | None, float | None, float]]) -> Paired | None:
    known = ((seed, scale * (a - b)) for seed, a, b, scale in pairs if a is not None and b is not None)
    return Paired.of([(seed, difference) for seed, difference in known if isfinite(difference)])
