"""Options that several commands have, as decorators, and how their texts are read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mgu.recipe import Recipe
from mgu.wiring import OPTIONS

Command = Callable[..., Any]


class HomePath(click.Path):
    """A path, in which ~ is the home folder also where no shell has seen it, as in --out=~/model."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return Path(str(super().convert(value, param, ctx))).expanduser()


#: A name of data, which may be a path: that is completed.
data_argument = click.argument("data", type=click.Path())


def read_prior(context: click.Context, parameter: click.Parameter, text: str) -> str | list[float]:
    """A prior's name as it is, and numbers with commas as numbers."""
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        return text


def names(context: click.Context, parameter: click.Parameter, text: str) -> list[str]:
    """Names with commas as a list; no text is none."""
    return [name.strip() for name in text.split(",")] if text else []


def pairs(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, list[str]]:
    """COLUMN=VALUE, each column with all of its values."""
    pairs: dict[str, list[str]] = {}
    for text in texts:
        column, equals, value = text.partition("=")
        if not column or not equals:
            raise click.BadParameter(f"{text!r} is not COLUMN=VALUE, such as stage=acetic_acid")
        pairs.setdefault(column, []).append(value)
    return pairs


def image_size(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """HEIGHT,WIDTH as numbers."""
    try:
        return tuple(int(side) for side in text.split(",")) if text else None
    except ValueError:
        raise click.BadParameter(f"{text!r} is not HEIGHT,WIDTH in pixels, such as 512,512") from None


def _added(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """A decorator that adds options to a command, in this order in its help."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


#: Which rows, columns and images of DATA are read, and what they are for; see ``mgu.data.load_data``.
data_options = _added(
    click.option("--target", metavar="COLUMN", help="The column to predict, where the data does not say it."),
    click.option(
        "--task", type=click.Choice(["classification", "regression"]), help="Where the target's values leave it open."
    ),
    click.option(
        "--group", metavar="COLUMN", help="Never split what this column says belongs together, such as a case."
    ),
    click.option(
        "--keep",
        metavar="COLUMN=VALUE",
        multiple=True,
        callback=pairs,
        help="Take only the rows whose column has this value, or one of several: repeat the option.",
    ),
    click.option("--drop", metavar="COLUMN,...", callback=names, default="", help="Columns that are no features."),
    click.option("--image-size", metavar="HEIGHT,WIDTH", callback=image_size, help="Resize all images to this."),
    click.option(
        "--limit", type=click.IntRange(1), help="Take this many of the training samples (validation included)."
    ),
)


def recipe_options(patience: int, batch_size: int | None, batch_sizes: str = "") -> Callable[[Command], Command]:
    """How a network is trained, see ``mgu.recipe.Recipe``, with a command's own defaults; ``batch_sizes`` says what
    the batch size is where none is given."""
    return _added(
        click.option("--epochs", default=Recipe.epochs, show_default=True, help="At most so many epochs a network."),
        click.option(
            "--patience",
            default=patience,
            show_default=True,
            help="Stop after so many epochs without a better validation.",
        ),
        click.option("--batch-size", type=int, default=batch_size, show_default=batch_sizes or True),
        click.option("--lr", default=Recipe.lr, show_default=True, help="Learning rate at the first step."),
        click.option(
            "--decay", type=float, help="Learning rate at a step: lr / (1 + decay * step).  [default: lr / epochs]"
        ),
        click.option(
            "--harden-after",
            default=Recipe.harden_after,
            show_default=True,
            help="Harden the MGU network after this share of the epochs, and train on what is left; 0: never.",
        ),
        click.option(
            "--precision",
            default=Recipe.precision,
            show_default=True,
            help="float32, or bf16 by autocast (Keras: mixed_bfloat16).",
        ),
        click.option(
            "--compile",
            default=Recipe.compile,
            show_default=True,
            help="A mode of torch.compile (Keras: default, XLA).",
        ),
    )


#: MultiGatedUnit's options, which a command gets by the names of its arguments.
unit_options = _added(
    click.option(
        "--gates", default=OPTIONS["gates"], show_default=True, help="channel, squeeze, depthwise or replica."
    ),
    click.option(
        "--prior",
        default=OPTIONS["prior"],
        show_default=True,
        callback=read_prior,
        help="Where gates start: plain, neutral, or a logit a gate, such as 0,4,4,4,-4.",
    ),
    click.option(
        "--form", default=OPTIONS["form"], show_default=True, help="The unit's published form: code or equations."
    ),
    click.option("--bypass", default=OPTIONS["bypass"], show_default=True, help="shortcut, normed or replica."),
    click.option(
        "--processors",
        default="",
        metavar="NAME,...",
        callback=names,
        help="Further processors, a gate each: rms_norm, group_norm, instance_norm, squeeze_excite.",
    ),
    click.option(
        "--residual-gate/--no-residual-gate",
        default=OPTIONS["residual_gate"],
        show_default=True,
        help="Learn residuals.",
    ),
)

device_option = click.option(
    "--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, or auto: a GPU where there is one."
)
country_option = click.option(
    "--country",
    metavar="CODE",
    help="Where the electricity comes from, for the carbon: an ISO 3166 code of three letters, such as DEU.",
)
tensorboard_option = click.option(
    "--tensorboard",
    metavar="FOLDER",
    type=HomePath(file_okay=False),
    help="Write the training there, epoch by epoch, for TensorBoard.",
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print nothing but the files written.")


def taken(options: dict[str, Any], wanted: tuple[str, ...]) -> dict[str, Any]:
    """The wanted ones of a command's options, which then has the others alone."""
    return {name: options.pop(name) for name in wanted}
