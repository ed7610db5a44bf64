"""The command line: one short function a command. What a command needs is imported when it runs."""

import csv
import json
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import mgu
from mgu.errors import InputError


class Commands(click.Group):
    """Commands that answer bad input with one plain message and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo("stopped; what has ended is kept, and the same command goes on from there", err=True)
            ctx.exit(130)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(mgu.__version__)
def main() -> None:
    """One training run instead of a grid search: networks that learn their own norms, residuals and depth."""


def _prior(context: click.Context, parameter: click.Parameter, text: str) -> str | list[float]:
    """A prior's name as it is, and numbers with commas as numbers."""
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        return text


def _names(context: click.Context, parameter: click.Parameter, text: str) -> list[str]:
    """Names with commas as a list; no text is none."""
    return [name.strip() for name in text.split(",")] if text else []


def _pairs(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, list[str]]:
    """COLUMN=VALUE, each column with all of its values."""
    pairs: dict[str, list[str]] = {}
    for text in texts:
        column, equals, value = text.partition("=")
        if not column or not equals:
            raise click.BadParameter(f"{text!r} is not COLUMN=VALUE, such as stage=acetic_acid")
        pairs.setdefault(column, []).append(value)
    return pairs


def _size(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """HEIGHT,WIDTH as numbers."""
    try:
        return tuple(int(side) for side in text.split(",")) if text else None
    except ValueError:
        raise click.BadParameter(f"{text!r} is not HEIGHT,WIDTH in pixels, such as 512,512") from None


def unit_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add MultiGatedUnit's options to a command, which gets them by the names of its arguments."""
    options = (
        click.option("--gates", default="channel", show_default=True, help="channel, squeeze, depthwise or replica."),
        click.option(
            "--prior",
            default="plain",
            show_default=True,
            callback=_prior,
            help="Where gates start: plain, neutral, or a logit a gate, such as 0,4,4,4,-4.",
        ),
        click.option("--form", default="code", show_default=True, help="The unit's published form: code or equations."),
        click.option("--bypass", default="shortcut", show_default=True, help="shortcut, normed or replica."),
        click.option(
            "--processors",
            default="",
            metavar="NAME,...",
            callback=_names,
            help="Further processors, a gate each: rms_norm, group_norm, instance_norm, squeeze_excite.",
        ),
        click.option("--residual-gate/--no-residual-gate", default=True, show_default=True, help="Learn residuals."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@main.command()
@click.argument("name")
@click.option("--format", "style", default="table", type=click.Choice(["table", "csv", "json"]), show_default=True)
@unit_options
def space(name: str, style: str, **unit: Any) -> None:
    """Print the trials of a search space with their sizes (all weights, as Keras counts them).

    NAME is a bundled space (mnist, cifar10, cervigram, digits, table) or the path of a TOML file of your own.
    """
    from mgu.spaces import load_space
    from mgu.study.trial import Trial
    from mgu.torch.network import model_size

    found = load_space(name)
    found.check(found.input_shape)
    trials = [
        Trial(model, architecture, model_size(architecture, found.input_shape, found.classes, **unit), seed=0)
        for model, architecture in found.models().items()
    ]
    columns = ("model_name", "layout", "norm", "residual", "model_size")
    rows = [{column: getattr(trial, column) for column in columns} for trial in trials]
    _print_rows(rows, style, [trial.is_mgu for trial in trials])


@main.command()
@click.argument("data")
@click.option(
    "--space", "space_name", metavar="NAME|FILE", help="Search space; by default the one for the data's shape."
)
@click.option("--out", type=click.Path(path_type=Path), help="Study folder.  [default: studies/DATA]")
@click.option("--target", metavar="COLUMN", help="The column to predict, where the data does not say it.")
@click.option(
    "--task", type=click.Choice(["classification", "regression"]), help="Where the target's values leave it open."
)
@click.option("--group", metavar="COLUMN", help="Never split what this column says belongs together, such as a case.")
@click.option(
    "--keep",
    metavar="COLUMN=VALUE",
    multiple=True,
    callback=_pairs,
    help="Take only the rows whose column has this value, or one of several: repeat the option.",
)
@click.option("--drop", metavar="COLUMN,...", callback=_names, default="", help="Columns that are no features.")
@click.option("--image-size", metavar="HEIGHT,WIDTH", callback=_size, help="Resize all images to this.")
@click.option("--limit", type=click.IntRange(1), help="Take this many of the training samples (validation included).")
@click.option(
    "--seeds", default=1, show_default=True, type=click.IntRange(1), help="Train each model with so many seeds."
)
@click.option(
    "--only",
    metavar="PATTERN,...",
    callback=_names,
    default="",
    help="Only the models of these names, such as 'MNI_00?,*MGU*'.",
)
@click.option("--epochs", default=100, show_default=True, help="At most so many epochs a trial.")
@click.option(
    "--patience", default=10, show_default=True, help="Stop after so many epochs without a better validation."
)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--lr", default=0.01, show_default=True, help="Learning rate at the first step.")
@click.option("--decay", type=float, help="Learning rate at a step: lr / (1 + decay * step).  [default: lr / epochs]")
@click.option(
    "--harden-after",
    default=0.1,
    show_default=True,
    help="Harden the MGU network after this share of the epochs, and train on what is left; 0: never.",
)
@unit_options
@click.option(
    "--framework", default="torch", show_default=True, help="torch, or keras on the backend that KERAS_BACKEND names."
)
@click.option(
    "--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, or auto: a GPU where there is one."
)
@click.option(
    "--precision", default="float32", show_default=True, help="float32, or bf16 by autocast (Keras: mixed_bfloat16)."
)
@click.option(
    "--compile",
    "compile_mode",
    default="none",
    show_default=True,
    help="A mode of torch.compile (Keras: default, XLA).",
)
@click.option(
    "--country",
    metavar="CODE",
    help="Where the electricity comes from, for the carbon: an ISO 3166 code of three letters, such as DEU.",
)
@click.option("--time-budget", type=float, metavar="HOURS", help="Begin no trial once the study took so long.")
@click.option("--energy-budget", type=float, metavar="KWH", help="Begin no trial once the study took so much.")
@click.option("--note", default="", metavar="TEXT", help="What a reader must know of the data; shown in the report.")
@click.option(
    "--rivals",
    default="all",
    show_default=True,
    metavar="NAME,...",
    callback=_names,
    help="Searches whose cost the report tells, nothing is trained for it: grid, parallel, oracle, random, halving, "
    "asha, hyperband, tpe, or all of these. Trained beside: switchable, boosting, mlp (these alone: and all searches).",
)
@click.option("--dry-run", is_flag=True, help="Say what would be trained, and train nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but the files written.")
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

    searches, trained = _rivals(rivals)
    budget = Budget(time_budget, energy_budget)
    recipe_names = ("epochs", "patience", "batch_size", "lr", "decay", "precision", "harden_after")
    recipe = Recipe(compile=compile_mode, **{name: options.pop(name) for name in recipe_names})
    chosen = load_space(space_name) if space_name else None
    target_device = framework_of(framework).device(device)
    reading = ("target", "task", "limit", "group", "keep", "drop", "image_size")
    loaded = load_data(data, **{name: options.pop(name) for name in reading})
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


def _rivals(names: list[str]) -> tuple[list[str], list[str]]:
    """The searches among the rivals, all where only trained ones are named, and those that are trained."""
    from mgu.rivals import STRATEGIES
    from mgu.study.trained_rivals import TRAINED_RIVALS

    for name in names:
        if name not in {"all", *STRATEGIES, *TRAINED_RIVALS}:
            raise InputError(f"unknown rival {name!r}; allowed: all, {', '.join((*STRATEGIES, *TRAINED_RIVALS))}")
    trained = [name for name in TRAINED_RIVALS if name in names]
    every = "all" in names or (trained and set(names) == set(trained))
    return [name for name in STRATEGIES if every or name in names], trained


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


@main.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--rivals", default="all", show_default=True, metavar="NAME,...", callback=_names, help="As for compare.")
def report(study: Path, rivals: list[str]) -> None:
    """Write the report of STUDY, a study's folder, again from its ledger, whatever part of it has ended."""
    from mgu.comparison import write_study_report
    from mgu.study.ledger import read_study

    paths = write_study_report(read_study(study), study, _rivals(rivals)[0])
    click.echo("\n".join(map(str, paths)))


@main.command()
@click.argument("study", type=click.Path(path_type=Path))
def status(study: Path) -> None:
    """Say how far STUDY, a study's folder, is; also while it runs."""
    from mgu.progress import standing
    from mgu.study.ledger import read_study

    click.echo("\n".join(standing(read_study(study))))


def _print_plan(folder: Path, trials: list[Any], settings: Mapping[str, Any]) -> None:
    from mgu.study.ledger import FILE, read_study

    known = read_study(folder).records if (folder / FILE).is_file() else ()
    status = {record.trial.key(settings): record.status for record in known}
    columns = ("model_name", "layout", "norm", "residual", "model_size", "seed")
    rows = [{**{c: getattr(t, c) for c in columns}, "status": status.get(t.key(settings), "pending")} for t in trials]
    _print_rows(rows, "table", [trial.is_mgu for trial in trials])
    click.echo(f"{len(rows)} trials in {folder}; nothing was trained")


def _print_rows(rows: list[dict[str, Any]], style: str, bold: Iterable[bool]) -> None:
    """Rows as a table, those of MGU ``bold`` in it, CSV or JSON on standard output."""
    if style == "json":
        click.echo(json.dumps(rows, indent=2))
    elif style == "csv":
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        table = Table(*rows[0])
        for row, is_bold in zip(rows, bold, strict=True):
            numbers = {name: f"{value:,}" if name == "model_size" else str(value) for name, value in row.items()}
            table.add_row(*numbers.values(), style="bold" if is_bold else "")
        Console(soft_wrap=not sys.stdout.isatty()).print(table)


if __name__ == "__main__":
    main()
