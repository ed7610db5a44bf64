"""``mgu predict``."""

import csv
import io
from pathlib import Path

import click

from mgu.cli.options import HomePath, data_argument, device_option
from mgu.cli.printing import shown
from mgu.errors import InputError

EXAMPLES = """
\b
Examples:
  mgu predict models/photos new_photos/ --out answers.csv
  mgu predict models/photos one.jpg
  mgu predict models/houses new_houses.csv --out prices.csv
"""


@click.command(epilog=EXAMPLES, short_help="Answer for new images or rows.")
@click.argument("model", type=HomePath())
@data_argument
@click.option("--out", type=HomePath(dir_okay=False), help="A CSV file; by default standard output.")
@device_option
def predict(model: Path, data: str, out: Path | None, device: str) -> None:
    """Answer for each image or row of DATA with the MODEL that mgu fit saved.

    DATA is a folder of images, flat or nested, one image, or a CSV or Parquet table with the columns of the training
    data, in any order; other columns and labels are not needed. Of any other name that mgu fit takes, the test split is
    taken. The CSV has a line for each: its file or row (the header is row 1), the label and the probability of each
    class, or the quantity in its unit. Where labels are known, how good the answers are is printed too.

    Images that cannot be taken are named, all others answered; the exit code is then 1.
    """
    from mgu.data.fresh import read_fresh
    from mgu.files import write_whole
    from mgu.model import predictions, read_model
    from mgu.model.answering import known_answers
    from mgu.model.words import metrics_words
    from mgu.spreadsheet import inert
    from mgu.training import framework_of

    if out and out.resolve() == Path(data).expanduser().resolve():
        raise InputError(f"--out {out} is the data itself; name another file")
    found = read_model(model, framework_of("torch").device(device))
    answers = predictions(found, read_fresh(data, found.preprocessing))
    lines = io.StringIO()
    rows = ([inert(cell) for cell in row] for row in (answers.header, *answers.rows()))
    csv.writer(lines, lineterminator="\n").writerows(rows)
    if out:
        try:
            write_whole(out, lines.getvalue().encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise InputError(f"{out} cannot be written: {error.strerror}") from error
        click.echo(f"{out}: {len(answers.fresh.names):,} {answers.fresh.kind}s")
    else:
        click.echo(shown(lines.getvalue()), nl=False)
    truth = known_answers(found, answers)
    if truth:
        click.echo(f"Where the truth is known: {metrics_words(truth)}", err=not out)
    for fault in answers.fresh.faults:
        click.echo(shown(f"left out: {fault}"), err=True)
    if answers.fresh.faults:
        click.get_current_context().exit(1)
