"""``mgu fit``."""

import shlex
import sys
from typing import Any

import click

from mgu import torchrun
from mgu.cli.options import (
    HomePath,
    country_option,
    data_argument,
    data_options,
    device_option,
    quiet_option,
    recipe_options,
    tensorboard_option,
    unit_options,
)
from mgu.sizing import PATIENCE

EXAMPLES = """
\b
Examples:
  mgu fit photos/                         # photos/cat/1.jpg, photos/dog/1.jpg, ...
  mgu fit photos/ --image-size 64,64      # where the images differ in size
  mgu fit houses.csv --target price --drop id --out models/houses
  mgu fit scans/ --group case_id          # never split a case
  torchrun --nproc-per-node 2 -m mgu fit scans/   # one network, in two processes
"""


@click.command(epilog=EXAMPLES, short_help="Train one MGU network on images or a table, and save it.")
@data_argument
@click.option("--out", type=HomePath(), help="The model's folder, a new one.  [default: models/DATA]")
@data_options
@recipe_options(PATIENCE, None, "a sixteenth of the training samples, 8 to 64")
@unit_options
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    help="Of the weights and the order of samples.",
)
@device_option
@country_option
@tensorboard_option
@quiet_option
def fit(data: str, quiet: bool, **options: Any) -> None:
    """Train one MGU network on DATA and save it as a model.

    DATA is a folder of images (one folder a class, or a metadata.csv), a CSV or Parquet table, or any other name
    that mgu compare takes. The network's size follows from the data's; nothing is searched. Its gates are decided
    early, and the plain network that is left is trained on; beside it the one with gates is, to its end. What comes
    out is a folder: that network, the one with its gates, what they learned in words and pictures, and a card with
    all figures.
    """
    from mgu.jobs import fit
    from mgu.model import NotTrainedError

    try:
        model = fit(data, **options, verbose=not quiet, command=shlex.join(["mgu", *sys.argv[1:]]))
    except NotTrainedError as error:
        raise click.ClickException(f"nothing was saved: {error}") from error
    if torchrun.rank() == 0:
        click.echo(str(model.folder))
