"""``mgu harden``."""

import shlex
import sys
from pathlib import Path

import click

from mgu.cli.options import HomePath, data_argument, device_option

EXAMPLES = """
\b
Examples:
  mgu harden models/photos other_photos/
  mgu harden models/photos other_photos/ --out models/photos-here
"""


@click.command(epilog=EXAMPLES, short_help="Decide a model's gates anew, by other data.")
@click.argument("model", type=HomePath())
@data_argument
@click.option("--out", type=HomePath(), help="A new folder for the model that comes of it.")
@device_option
def harden(model: Path, data: str, out: Path | None, device: str) -> None:
    """Decide the gates of the MODEL's network anew, by other DATA.

    DATA is as for mgu predict, and must have labels; at most 256 samples are taken, evenly spaced. Printed are the
    decisions and both networks, the one with gates and the plain one that is left, side by side on those samples. The
    plain network is not trained on, so that it may be worse than the one that mgu fit left: train on your data with mgu
    fit where there is enough of it.
    """
    from mgu.data.fresh import read_fresh
    from mgu.model import check_free, read_model
    from mgu.model.deciding import decided_on
    from mgu.training import framework_of

    if out:
        check_free(out)
    found = read_model(model, framework_of("torch").device(device))
    redecided = decided_on(found, read_fresh(data, found.preprocessing))
    click.echo(redecided.hardened.text())
    if out:
        click.echo(str(redecided.save(out, Path(data).name, shlex.join(["mgu", *sys.argv[1:]]))))
