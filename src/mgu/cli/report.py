"""``mgu report`` and ``mgu status``: of a study's folder."""

from pathlib import Path

import click

from mgu.cli.options import HomePath, names
from mgu.cli.printing import shown


@click.command(short_help="Write the report of a study again.")
@click.argument("study", type=HomePath())
@click.option("--rivals", default="all", show_default=True, metavar="NAME,...", callback=names, help="As for compare.")
def report(study: Path, rivals: list[str]) -> None:
    """Write the report of STUDY, a study's folder, again from its ledger, whatever part of it has ended."""
    from mgu.comparison import write_study_report
    from mgu.jobs.comparing import searches_and_trained
    from mgu.study.ledger import read_study

    paths = write_study_report(read_study(study), study, searches_and_trained(rivals)[0])
    click.echo("\n".join(map(str, paths)))


@click.command(short_help="Say how far a study is; also while it runs.")
@click.argument("study", type=HomePath())
def status(study: Path) -> None:
    """Say how far STUDY, a study's folder, is; also while it runs."""
    from mgu.progress import standing
    from mgu.study.ledger import read_study

    click.echo(shown("\n".join(standing(read_study(study)))))
