"""``mgu space``."""

from typing import Any

import click

from mgu.cli.options import unit_options
from mgu.cli.printing import print_rows


@click.command(short_help="Print the trials of a search space with their sizes.")
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
    print_rows(rows, style, [trial.is_mgu for trial in trials])
