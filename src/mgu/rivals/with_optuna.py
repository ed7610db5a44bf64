"""Searches by Optuna (https://optuna.org), one worker each, on runs that are walked instead of trained."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING

from mgu.rivals.exhaustive import shuffled
from mgu.rivals.halving import FACTOR, FIRST_EPOCHS
from mgu.rivals.replay import Outcome, Stretch, paid, whole
from mgu.rivals.runs import Run

if TYPE_CHECKING:
    import optuna

#: The share of the cells that the tree-structured Parzen estimator may train, and the share of those that it draws at
#: random before it begins to learn. (Optuna's own 10 random ones would leave it 2 of 12.)
BUDGET, RANDOM = 0.5, 0.33
#: So many suggestions for each cell, repeated ones counted, and the search ends.
SUGGESTIONS = 10


def asha(runs: Sequence[Run], target: float, seed: int) -> Outcome:
    """Asynchronous successive halving, Optuna's SuccessiveHalvingPruner, on the cells in random order: with one worker
    each cell is stopped or goes on by what the cells before it showed. Source: Li et al. (2020), arXiv:1810.05934."""
    import optuna

    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=FIRST_EPOCHS, reduction_factor=FACTOR)
    return _pruned(runs, target, seed, pruner)


def hyperband(runs: Sequence[Run], target: float, seed: int) -> Outcome:
    """Hyperband, Optuna's HyperbandPruner, on the cells in random order. Its largest resource is the longest recorded
    history, which a search would not know. Source: Li et al. (2018), arXiv:1603.06560."""
    import optuna

    longest = max(len(run.epochs) for run in runs)
    pruner = optuna.pruners.HyperbandPruner(
        min_resource=FIRST_EPOCHS, max_resource=max(longest, FIRST_EPOCHS), reduction_factor=FACTOR
    )
    return _pruned(runs, target, seed, pruner)


def tpe(runs: Sequence[Run], target: float, seed: int) -> Outcome:
    """The tree-structured Parzen estimator, Optuna's TPESampler, over layout, norm and residual: half of the cells,
    each to its end. A cell that is suggested again is looked up and costs nothing; a combination that the grid has not,
    and a cell that diverged or failed, scores 0. Source: Bergstra et al. (2011), "Algorithms for hyper-parameter
    optimization"."""
    import optuna

    cells = {(run.layout, run.norm, run.residual): run for run in runs}
    budget = ceil(BUDGET * len(cells))
    worst = min([0.0, *(run.val_score for run in runs if run.val_score is not None)])
    options = [list(dict.fromkeys(values)) for values in zip(*cells, strict=True)]
    trained: dict[str, Run] = {}
    with _quiet():
        sampler = optuna.samplers.TPESampler(n_startup_trials=ceil(RANDOM * budget), seed=seed)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for _ in range(SUGGESTIONS * len(cells)):
            trial = study.ask()
            names = ("layout", "norm", "residual")
            asked = [trial.suggest_categorical(name, values) for name, values in zip(names, options, strict=True)]
            run = cells.get((asked[0], asked[1], asked[2]))
            if run:
                trained[run.name] = run
            study.tell(trial, worst if run is None or run.val_score is None else run.val_score)
            if len(trained) == budget:
                break
    return paid(whole(trained.values()), target)


def _pruned(runs: Sequence[Run], target: float, seed: int, pruner: "optuna.pruners.BasePruner") -> Outcome:
    import optuna

    with _quiet():  # Hyperband draws brackets by the study's name
        study = optuna.create_study(direction="maximize", pruner=pruner, study_name=f"seed {seed}")
        return paid([_walked(study, run) for run in shuffled(runs, seed)], target)


def _walked(study: "optuna.Study", run: Run) -> Stretch:
    """The run as far as the study's pruner lets it."""
    from optuna.trial import TrialState

    trial = study.ask()
    for stage, epoch in enumerate(run.epochs, 1):
        trial.report(epoch.val_score, stage)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return Stretch(run, 0, stage)
    if run.val_score is None:
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, run.val_score)
    return Stretch(run, 0, run.end)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's messages, and without its warnings that an interface is experimental."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
