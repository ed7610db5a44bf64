"""``mgu mlflow``."""

from pathlib import Path

import click

from mgu.cli.options import HomePath

EXAMPLES = """
\b
Examples:
  mgu mlflow studies/digits                                   # into mlflow.db here; mlflow ui shows it
  mgu mlflow studies/digits --uri http://localhost:5000 --experiment digits
"""


@click.command(epilog=EXAMPLES, short_help="Write a study's trials as runs of MLflow.")
@click.argument("study", type=HomePath())
@click.option("--uri", default="sqlite:///mlflow.db", show_default=True, help="MLflow's tracking URI.")
@click.option("--experiment", default="", metavar="NAME", help="The experiment.  [default: the study's name]")
def mlflow(study: Path, uri: str, experiment: str) -> None:
    """Write the trials of STUDY, a study's folder, to MLflow, a run a trial.

    Each run has the trial's settings, its losses, scores and gates epoch by epoch, how it ended and what it took, and
    its self-diagnosis. What was written before is not written again. Nothing is sent anywhere but to the URI.
    """
    from mgu.tracking.mlflow import export_study

    done = export_study(study, uri, experiment)
    click.echo(f"{done.written} runs written to {uri}, {done.known} were there")
