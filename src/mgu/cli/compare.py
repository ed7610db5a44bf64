"""``mgu compare``."""

import shlex
import sys
from typing import Any

import click

from mgu.cli.options import (
    HomePath,
    country_option,
    data_argument,
    data_options,
    device_option,
    names,
    quiet_option,
    recipe_options,
    taken,
    tensorboard_option,
    unit_options,
)
from mgu.cli.printing import print_rows
from mgu.recipe import Recipe


@click.command(short_help="Train one MGU network and the whole grid of plain ones.")
@data_argument
@click.option("--space", metavar="NAME|FILE", help="Search space; by default the one for the data's shape.")
@click.option("--out", type=HomePath(), help="Study folder.  [default: studies/DATA]")
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
@recipe_options(Recipe.patience, Recipe.batch_size)
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
@click.option(
    "--on",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Train on this machine, or on the Ray cluster that it belongs to.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Train so many trials at once. Those that share a machine disturb each other's clocks, and no energy is told "
    "of them.  [default: 1; on Ray, as many as there is room for]",
)
@click.option(
    "--cpus-per-trial", type=click.IntRange(1), help="On Ray: cores, and threads, of each trial.  [default: 1]"
)
@click.option("--gpus-per-trial", type=float, help="On Ray: GPUs of each trial, or a share of one.  [default: 1]")
@click.option(
    "--stall-after",
    default=60.0,
    show_default=True,
    metavar="MINUTES",
    help="Take a trial for hanging once so long no epoch has ended and no checkpoint was written.",
)
@tensorboard_option
@click.option("--dry-run", is_flag=True, help="Say what would be trained, and train nothing.")
@quiet_option
def compare(data: str, dry_run: bool, quiet: bool, **options: Any) -> None:
    """Train one MGU network and the whole grid of plain ones on DATA, and report.

    DATA is digits, iris, wine, breast_cancer or diabetes (bundled), mnist or cifar10, a Hugging Face Hub id, a folder
    of images or of Parquet files, or a CSV or Parquet table. Stopped and started again, a study goes on where it was.
    """
    from mgu.jobs import compare, plan

    of_the_run = taken(options, ("time_budget", "energy_budget", "tensorboard"))
    if dry_run:
        _print_plan(plan(data, **options))
        return
    study = compare(data, **options, **of_the_run, verbose=not quiet, command=shlex.join(["mgu", *sys.argv[1:]]))
    click.echo("\n".join(str(study.folder / name) for name in ("results.csv", "report.md", "report.html")))
    if not any(record.status == "finished" for record in study.view.records):
        raise click.ClickException("no trial has finished; the report says why")


def _print_plan(plan: Any) -> None:
    from mgu.study.ledger import FILE, check_settings, read_study

    settings = plan.comparison.settings()
    check_settings(plan.folder, settings)
    known = read_study(plan.folder).records if (plan.folder / FILE).is_file() else ()
    status = {record.trial.key(settings): record.status for record in known}
    columns = ("model_name", "layout", "norm", "residual", "model_size", "seed")
    rows = [
        {**{c: getattr(trial, c) for c in columns}, "status": status.get(trial.key(settings), "pending")}
        for trial in plan.trials
    ]
    print_rows(rows, "table", [trial.is_mgu for trial in plan.trials])
    click.echo(f"{len(rows)} trials in {plan.folder}; nothing was trained")
