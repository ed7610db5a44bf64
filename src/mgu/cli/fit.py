"""``mgu fit``."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    quiet_option,
    recipe_options,
    taken,
    unit_options,
)
from mgu.history import Epoch

EXAMPLES = """
\b
Examples:
  mgu fit photos/                         # photos/cat/1.jpg, photos/dog/1.jpg, ...
  mgu fit photos/ --image-size 64,64      # where the images differ in size
  mgu fit houses.csv --target price --drop id --out models/houses
  mgu fit scans/ --group case_id          # never split a case
"""


@click.command(epilog=EXAMPLES)
@click.argument("data")
@click.option("--out", type=click.Path(path_type=Path), help="The model's folder, a new one.  [default: models/DATA]")
@data_options
@recipe_options
@unit_options
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the weights and the order of samples."
)
@device_option
@country_option
@quiet_option
def fit(
    data: str,
    out: Path | None,
    compile_mode: str,
    seed: int,
    device: str,
    country: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Train one MGU network on DATA and save it as a model.

    DATA is a folder of images (one folder a class, or a metadata.csv), a CSV or Parquet table, or any other name that
    mgu compare takes. The network's size follows from the data's; nothing is searched. Its gates are decided early, and
    the plain network that is left is trained on. What comes out is a folder: that network, the one with its gates, what
    they learned in words and pictures, and a card with all figures.
    """
    from mgu.data import load_data
    from mgu.model import check_free, fit_model
    from mgu.model.fitting import NotTrainedError
    from mgu.model.words import fitted_lines
    from mgu.training import Recipe, framework_of

    recipe = Recipe(compile=compile_mode, **taken(options, RECIPE_NAMES))
    target_device = framework_of("torch").device(device)
    if out:
        check_free(out)  # before the data is read, which may take long
    loaded = load_data(data, **taken(options, DATA_NAMES))
    folder = out or Path("models") / loaded.short_name
    check_free(folder)
    command = shlex.join(["mgu", *sys.argv[1:]])
    with _telling(quiet) as tell:
        try:
            model = fit_model(
                loaded,
                recipe,
                unit=options,
                seed=seed,
                device=target_device,
                country=country,
                command=command,
                on_epoch=tell,
            )
        except NotTrainedError as error:
            raise click.ClickException(f"nothing was saved: {error}") from error
        model.save(folder)
    if not quiet:
        click.echo("\n".join(fitted_lines(model)))
    click.echo(str(folder))


@contextmanager
def _telling(quiet: bool) -> Iterator[Callable[[Epoch], None]]:
    """Where there is a terminal, a line for the time of the training."""
    console = Console(stderr=True, quiet=quiet)
    with console.status("training: first epoch") as status:
        yield lambda epoch: status.update(f"training: epoch {epoch.epoch}, validation {epoch.val_score:.4f}")
