"""From data to a study with its report, in one call."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from mgu import torchrun
from mgu.comparison import Comparison, default_space
from mgu.data import load_data
from mgu.errors import InputError
from mgu.jobs.options import Options
from mgu.progress import listen, standing
from mgu.report.score import SCORES
from mgu.report.search_costs import search_costs
from mgu.report.tables import summarise
from mgu.report.terminal import print_summary
from mgu.rivals import STRATEGIES
from mgu.spaces import load_space
from mgu.study.budget import Budget
from mgu.study.trained_rivals import TRAINED_RIVALS
from mgu.study.trial import StudyView, Trial
from mgu.tracking.tensorboard import TensorBoard, summary_writer
from mgu.training import framework_of
from mgu.workplaces import Workplace


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be compared, in which folder, by which trials, where they are trained, and the searches whose cost the
    report is to tell."""

    comparison: Comparison
    folder: Path
    trials: list[Trial]
    place: Workplace
    searches: list[str]


@dataclass(frozen=True, eq=False)
class Study:
    """A study's folder, which has its report, and what is in its ledger."""

    folder: Path
    view: StudyView

    def __repr__(self) -> str:
        return f"<Study {self.folder}: {next(standing(self.view))}>"


def compare(
    data: str | Path,
    *,
    time_budget: float | None = None,
    energy_budget: float | None = None,
    tensorboard: str | Path | None = None,
    verbose: bool = True,
    command: str | None = None,
    **options: Any,
) -> Study:
    """Train one MGU network and the whole grid of plain ones on data, as a study in a folder, and write the report
    there; ``mgu compare`` from Python. A study that is there already goes on where it was.

    ``options`` are those of ``plan``, and so of ``fit``. No trial is begun once a budget, in hours or kWh, is spent.
    ``tensorboard`` is a folder to write the training to, epoch by epoch, a run a trial. Unless it is not ``verbose``,
    how far the study is is shown meanwhile, and at the end its table. ``command`` is kept in the ledger.

    Raises InputError for data and options that do not fit, and where the folder cannot be used for this study.
    """
    budget = Budget(time_budget, energy_budget)
    if tensorboard:
        summary_writer()  # before the data is read, which may take long
    planned = plan(data, **options)
    comparison, score = planned.comparison, SCORES[planned.comparison.data.task]
    console = Console(soft_wrap=not sys.stdout.isatty())
    beside = [TensorBoard(Path(tensorboard), planned.folder, comparison.settings(), score)] if tensorboard else []
    with listen(console, comparison.recipe.epochs, not verbose, score, beside) as listener:
        view = comparison.run(
            planned.folder, planned.trials, listener, command, planned.searches, budget, place=planned.place
        )
    if verbose:
        costs = search_costs(view, planned.searches) if planned.searches else None
        print_summary(summarise(view), console, costs)
    return Study(planned.folder, view)


def plan(
    data: str | Path,
    *,
    space: str | None = None,
    out: str | Path | None = None,
    seeds: int = 1,
    only: Sequence[str] = (),
    framework: str = "torch",
    device: str = "auto",
    country: str | None = None,
    note: str = "",
    rivals: Sequence[str] = ("all",),
    on: str = "local",
    workers: int | None = None,
    cpus_per_trial: int | None = None,
    gpus_per_trial: float | None = None,
    stall_after: float = Workplace.stall_s / 60,
    **options: Any,
) -> Plan:
    """What ``compare`` would train, nothing of it trained. ``data`` and ``options`` are as for ``fit``.

    ``space`` is a bundled one or a TOML file, by default the one for the data's shape; ``out`` the study's folder,
    studies/NAME where it is not given; ``only`` are patterns of models' names. ``rivals`` are searches whose cost the
    report tells, or "all", and what is trained beside. So many ``workers`` train a trial each at once, ``on`` this
    machine ("local") or a Ray cluster ("ray"), see ``mgu.workplaces.Workplace``; a trial of which nothing was heard for
    ``stall_after`` minutes has failed. See ``mgu.comparison.Comparison`` for the others.

    Raises InputError for data and options that do not fit.
    """
    if torchrun.processes() > 1:
        raise InputError(
            f"torchrun has started {torchrun.processes()} processes, each of which would run the whole study; start "
            "mgu compare without it: a study's trials are many networks, not one over many devices"
        )
    searches, trained = searches_and_trained(rivals)
    place = Workplace(on, workers, cpus_per_trial, gpus_per_trial, 60 * stall_after)
    chosen = Options.of(options)
    wanted = load_space(space) if space else None
    device = framework_of(framework).device(device)
    loaded = load_data(str(data), **chosen.data)
    comparison = Comparison(
        loaded, wanted or default_space(loaded), chosen.recipe, chosen.unit, device, note, country, trained, framework
    )
    trials = comparison.trials(range(seeds), only)
    return Plan(comparison, Path(out or Path("studies") / comparison.name).expanduser(), trials, place, searches)


def searches_and_trained(rivals: Sequence[str]) -> tuple[list[str], list[str]]:
    """The searches among the rivals, all where only trained ones are named, and those that are trained."""
    for name in rivals:
        if name not in {"all", *STRATEGIES, *TRAINED_RIVALS}:
            raise InputError(f"unknown rival {name!r}; allowed: all, {', '.join((*STRATEGIES, *TRAINED_RIVALS))}")
    trained = [name for name in TRAINED_RIVALS if name in rivals]
    every = "all" in rivals or (trained and set(rivals) == set(trained))
    return [name for name in STRATEGIES if every or name in rivals], trained
