"""Published figures beside a study's own, from the reader's file ``published.csv`` in the study's folder."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from mgu.errors import InputError
from mgu.files import is_own
from mgu.report.score import Score

FILE = "published.csv"
#: It has no more bytes.
MOST_BYTES = 2**24


@dataclass(frozen=True)
class Published:
    """What was published of a model: its validation score, as the study shows scores, and its time to solution in
    seconds."""

    val_score: float | None
    tts_s: float | None


def read_published(study: Path, score: Score) -> Mapping[str, Published]:
    """What ``published.csv`` in the study's folder says, by model; nothing where there is no such file. Its columns
    are model_name, the score's (val_acc or val_r2) and tts_s; a cell may be empty, and further columns are left alone.

    Raises InputError where the file cannot be read, is none of the folder's own, lacks one of these columns, or has a
    cell that is no number.
    """
    path = study / FILE
    val = score.column("val")
    columns = ("model_name", val, "tts_s")
    try:
        if not is_own(path, study.resolve(), MOST_BYTES):
            raise InputError(
                f"{path}: it is no file of its own in the folder, or larger than {MOST_BYTES:,} bytes; put the CSV "
                "file itself there, or remove it"
            )
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows, found = list(reader), reader.fieldnames or ()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, RuntimeError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a CSV file in UTF-8, or remove it") from error
    missing = [name for name in columns if name not in found]
    if missing:
        raise InputError(
            f"{path}: has no column {', '.join(missing)}, only {', '.join(found)}; its first line must name "
            f"{', '.join(columns)}"
        )
    return {row["model_name"]: Published(_number(path, row[val]), _number(path, row["tts_s"])) for row in rows}


def _number(path: Path, text: str | None) -> float | None:
    if not text or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise InputError(
            f"{path}: {text!r} is no number; accuracies are in per cent, R² is a plain number and tts_s in seconds, "
            "such as 99.32"
        )
    return value
