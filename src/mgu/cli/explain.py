"""``mgu explain``."""

from pathlib import Path

import click

from mgu.cli.options import HomePath, data_argument, device_option

EXAMPLES = """
\b
Examples:
  mgu explain models/photos more_photos/
  mgu explain models/houses houses.csv --out houses-explained
"""


@click.command(epilog=EXAMPLES, short_help="Say what each gate of a model does.")
@click.argument("model", type=HomePath())
@data_argument
@click.option("--out", type=HomePath(), help="A new folder for the text and the pictures.")
@device_option
def explain(model: Path, data: str, out: Path | None, device: str) -> None:
    """Say what each gate of the MODEL's network does on DATA.

    DATA is as for mgu predict. Where it has labels, what each gate is worth is measured too: the loss with the gate
    switched to either side for good. At most 100 samples are taken, evenly spaced.
    """
    from mgu.data.fresh import read_fresh
    from mgu.model import check_free, read_model
    from mgu.model.deciding import explained_on
    from mgu.model.folder import write_folder
    from mgu.saving import write_diagnosis
    from mgu.training import framework_of

    if out:
        check_free(out)
    found = read_model(model, framework_of("torch").device(device))
    decisions = found.decisions
    diagnosis = explained_on(found, read_fresh(data, found.preprocessing))
    click.echo(diagnosis.text())
    if out:
        click.echo(str(write_folder(out, lambda part: write_diagnosis(diagnosis, part, decisions=decisions))))
