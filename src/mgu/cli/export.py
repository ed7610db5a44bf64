"""``mgu export``."""

from pathlib import Path

import click

from mgu.cli.options import HomePath

EXAMPLES = """
\b
Examples:
  mgu export models/photos --to onnx --out photos.onnx
  mgu export models/photos --to source --out photos-network
"""


@click.command(epilog=EXAMPLES, short_help="Write a model as ONNX, for torch, or as source.")
@click.argument("model", type=HomePath())
@click.option(
    "--to",
    "style",
    required=True,
    type=click.Choice(["onnx", "torch", "source"]),
    help="One ONNX file; a folder for mgu.torch.load; or Python source that needs torch and safetensors alone.",
)
@click.option("--out", required=True, type=HomePath(), help="The file, or a new folder.")
def export(model: Path, style: str, out: Path) -> None:
    """Write the MODEL's plain network for programs that do without mgu.

    What is written takes pixels of 0 to 255, (batch, channels, height, width) float32, or a table's features: the
    standardisation is part of it. It gives a logit a class, or the quantity in its unit. An ONNX file is run by ONNX
    Runtime and compared before it is written.
    """
    from mgu.model import read_model
    from mgu.model.exporting import FORMATS

    click.echo(str(FORMATS[style](read_model(model), out)))
