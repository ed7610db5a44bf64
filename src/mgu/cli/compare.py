"""``mgu compare``."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from mgu.cli.options import (
    DATA_NAMES,
    RECIPE_NAMES,
    country_option,
    data_options,
    device_option,
    names,
    quiet_option,
    recipe_options,
    searches_and_trained,
    taken,
    unit_options,
)
from mgu.cli.printing import print_rows


@click.command()
@click.argument("data")
@click.option(
    "--space", "space_name", metavar="NAME|FILE", help="Search space; by default the one for the data's shape."
)
@click.option("--out", type=click.Path(path_type=Path), help="Study folder.  [default: studies/DATA]")
@data_options
@click.option(
    "--seeds", default=1, show_default=True, type=click.IntRange(1), help="Train each model with so many seeds."
)
@click.option(
    "--only",
    metavar="PATTERN,...",
    callback=names,
    default="",
    help="Only the models of these names, such as 'MNI_00?,*MGU*'.",
)
@recipe_options
@unit_options
@click.option(
    "--framework", default="torch", show_default=True, help="torch, or keras on the backend that KERAS_BACKEND names."
)
@device_option
@country_option
@click.option("--time-budget", type=float, metavar="HOURS", help="Begin no trial once the study took so long.")
@click.option("--energy-budget", type=float, metavar="KWH", help="Begin no trial once the study took so much.")
@click.option("--note", default="", metavar="TEXT", help="What a reader must know of the data; shown in the report.")
@click.option(
    "--rivals",
    default="all",
    show_default=True,
    metavar="NAME,...",
    callback=names,
    help="Searches whose cost the report tells, nothing is trained for it: grid, parallel, oracle, random, halving, "
    "asha, hyperband, tpe, or all of these. Trained beside: switchable, boosting, mlp (these alone: and all searches).",
)
@click.option("--dry-run", is_flag=True, help="Say what would be trained, and train nothing.")
@quiet_option
def compare(
    data: str,
    space_name: str | None,
    out: Path | None,
    seeds: int,
    only: list[str],
    framework: str,
    device: str,
    compile_mode: str,
    country: str | None,
    note: str,
    rivals: list[str],
    time_budget: float | None,
    energy_budget: float | None,
    dry_run: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Train one MGU network and the whole grid of plain ones on DATA, and report.

    DATA is digits, iris, wine, breast_cancer or diabetes (bundled), mnist or cifar10, a Hugging Face Hub id, a folder
    of images or of Parquet files, or a CSV or Parquet table. Stopped and started again, a study goes on where it was.
    """
    from mgu.comparison import Comparison, default_space
    from mgu.data import load_data
    from mgu.spaces import load_space
    from mgu.study.budget import Budget
    from mgu.study.ledger import check_settings
    from mgu.training import Recipe, framework_of

    searches, trained = searches_and_trained(rivals)
    budget = Budget(time_budget, energy_budget)
    recipe = Recipe(compile=compile_mode, **taken(options, RECIPE_NAMES))
    chosen = load_space(space_name) if space_name else None
    target_device = framework_of(framework).device(device)
    loaded = load_data(data, **taken(options, DATA_NAMES))
    comparison = Comparison(
        loaded, chosen or default_space(loaded), recipe, options, target_device, note, country, trained, framework
    )
    trials = comparison.trials(range(seeds), only)
    folder = out or Path("studies") / comparison.name
    if dry_run:
        check_settings(folder, comparison.settings())
        _print_plan(folder, trials, comparison.settings())
        return
    _run(comparison, folder, trials, searches, budget, quiet)


def _run(comparison: Any, folder: Path, trials: list[Any], searches: list[str], budget: Any, quiet: bool) -> None:
    from mgu.progress import listen
    from mgu.report.score import SCORES
    from mgu.report.search_costs import search_costs
    from mgu.report.tables import summarise
    from mgu.report.terminal import print_summary

    console = Console(soft_wrap=not sys.stdout.isatty())
    with listen(console, comparison.recipe.epochs, quiet, SCORES[comparison.data.task]) as listener:
        view = comparison.run(folder, trials, listener, shlex.join(["mgu", *sys.argv[1:]]), searches, budget)
    if not quiet:
        print_summary(summarise(view), console, search_costs(view, searches) if searches else None)
    click.echo("\n".join(str(folder / name) for name in ("results.csv", "report.md", "report.html")))
    if not any(record.status == "finished" for record in view.records):
        raise click.ClickException("no trial has finished; the report says why")


def _print_plan(folder: Path, trials: list[Any], settings: Mapping[str, Any]) -> None:
    from mgu.study.ledger import FILE, read_study

    known = read_study(folder).records if (folder / FILE).is_file() else ()
    status = {record.trial.key(settings): record.status for record in known}
    columns = ("model_name", "layout", "norm", "residual", "model_size", "seed")
    rows = [{**{c: getattr(t, c) for c in columns}, "status": status.get(t.key(settings), "pending")} for t in trials]
    print_rows(rows, "table", [trial.is_mgu for trial in trials])
    click.echo(f"{len(rows)} trials in {folder}; nothing was trained")
