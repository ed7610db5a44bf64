"""The command line: a file a command. What a command needs is imported when it runs."""

import signal
from collections.abc import Mapping, Sequence
from typing import Any

import click

import mgu
from mgu.cli.compare import compare
from mgu.cli.explain import explain
from mgu.cli.export import export
from mgu.cli.fit import fit
from mgu.cli.harden import harden
from mgu.cli.mlflow import mlflow
from mgu.cli.predict import predict
from mgu.cli.printing import shown
from mgu.cli.report import report, status
from mgu.cli.space import space
from mgu.cli.telling import first_to_tell
from mgu.errors import InputError

#: The commands as the manual has them, by heading.
SECTIONS: Mapping[str, Sequence[click.Command]] = {
    "A model of your own data": (fit, predict, explain, harden, export),
    "Compare with a grid": (compare, status, report, mlflow, space),
}


class Terminated(KeyboardInterrupt):
    """SIGTERM, which stops as Ctrl-C does."""


def _terminate(number: int, frame: object) -> None:
    raise Terminated


class Commands(click.Group):
    """Commands that answer bad input with one plain message and exit code 2, and a manual of them by heading."""

    def invoke(self, ctx: click.Context) -> Any:
        signal.signal(signal.SIGTERM, _terminate)
        try:
            return super().invoke(ctx)
        except InputError as error:
            if first_to_tell():
                click.echo(shown(f"error: {error}"), err=True)
            ctx.exit(2)
        except click.ClickException as error:
            if first_to_tell():
                raise
            ctx.exit(error.exit_code)
        except KeyboardInterrupt as stop:
            goes_on = "; the same command goes on from the last checkpoint"
            if first_to_tell():
                click.echo(f"stopped{goes_on if ctx.invoked_subcommand == 'compare' else ''}", err=True)
            ctx.exit(143 if isinstance(stop, Terminated) else 130)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, commands in SECTIONS.items():
            with formatter.section(heading):
                width = formatter.width - 6 - max(len(command.name or "") for command in commands)
                formatter.write_dl([(command.name or "", command.get_short_help_str(width)) for command in commands])


EXAMPLES = """
\b
Examples:
  mgu fit photos/ --out models/photos      # a folder of images, one folder a class
  mgu predict models/photos new_photos/ --out answers.csv
  mgu fit table.csv --target price         # a table; a quantity is recognised
  mgu compare digits                       # against the grid, on scikit-learn's digits

mgu COMMAND --help says more of each. Bad input ends with exit code 2 and one line that says what to do.
"""


@click.group(
    cls=Commands, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(mgu.__version__)
def main() -> None:
    """One training run instead of a grid search: networks that learn their own norms, residuals and depth.

    Start with mgu fit on your own images or table.
    """


for _commands in SECTIONS.values():
    for _command in _commands:
        main.add_command(_command)
