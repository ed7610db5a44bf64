"""What a trial's folder has of its self-diagnosis, for the report's pages.

A study may come from strangers: what is missing or damaged is left out, nothing outside the trials' folders is read,
and a picture is for an ``<img>``, where no script in it runs and nothing is fetched.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path, PurePath

from mgu.diagnosis import Alarm
from mgu.files import is_own
from mgu.plain_json import read_json
from mgu.study.runner import trial_folder
from mgu.study.trial import Record

#: How to read the pictures of gates of ``mgu.report.gates.write_pictures``, in the order in which they are shown.
CAPTIONS: Mapping[str, str] = {
    "gates-means": "The mean of each gate in each unit, and the side that it is open for.",
    "gates-effects": "What switching one gate alone to one side for good adds to the loss. A gate with two short bars "
    "matters little, whatever its mean.",
    "gates-epochs": "The mean of each gate after each epoch of training.",
    "gates-histograms": "The values of each gate over the samples, from 0 to 1, and their mean.",
}
#: No file of a diagnosis has more bytes, and no opening tag of a picture.
MOST_BYTES, MOST_OPENING = 32 * 2**20, 2**16
_SIZE = re.compile(r' viewBox="0 0 (\d{1,5})(?:\.\d{1,20})? (\d{1,5})')
_LABEL = re.compile(r' aria-label="([^"]*)"')
_PIXELS_PER_POINT = 4 / 3


@dataclass(frozen=True)
class Picture:
    """A picture: what it shows, its words for who cannot see it, its file by its path in the study, its size in CSS
    pixels, and all of it as a data URI."""

    caption: str
    alt: str
    path: str
    width: int
    height: int
    uri: str

    @property
    def is_coloured(self) -> bool:
        """Whether its words stand on colours, which are chosen for a white page."""
        return PurePath(self.path).stem == "gates-means"


@dataclass(frozen=True)
class SavedDiagnosis:
    """The self-diagnosis of a trial: its pictures, its alarms, None where they are not known, and the path in the study
    of the paper's lines, None where they are not there."""

    model_name: str
    seed: int
    pictures: tuple[Picture, ...]
    alarms: tuple[Alarm, ...] | None
    text_path: str | None


def read_diagnosis(study: Path, record: Record) -> SavedDiagnosis | None:
    """What the trial's folder in the study has of its self-diagnosis; None where it has nothing that can be shown."""
    folder = trial_folder(Path(), record.trial)
    pictures = (_picture(study, folder / f"{name}.svg", caption) for name, caption in _captions(record).items())
    text = folder / "diagnosis.txt"
    found = SavedDiagnosis(
        model_name=record.trial.model_name,
        seed=record.trial.seed,
        pictures=tuple(picture for picture in pictures if picture),
        alarms=_alarms(study, folder / "diagnosis.json"),
        text_path=text.as_posix() if _content(study, text) is not None else None,
    )
    return found if found.pictures or found.alarms is not None or found.text_path else None


def _captions(record: Record) -> dict[str, str]:
    hardening = record.result.hardening if record.result else None
    decided = (
        f"as hardened after epoch {hardening.after_epoch}" if hardening else "each gate on the side it is open for"
    )
    return {"architecture": f"What is left of each unit, from input to output, {decided}.", **CAPTIONS}


def _picture(study: Path, path: PurePath, caption: str) -> Picture | None:
    """None for what is not as ``figure_svg`` writes it."""
    content = _content(study, path) or b""
    opening, end, _ = content[:MOST_OPENING].decode("utf-8", "replace").partition(">")
    size, label = _SIZE.search(opening), _LABEL.search(opening)
    if not opening.startswith("<svg ") or not end or not size or not label:
        return None
    width, height = (round(int(points) * _PIXELS_PER_POINT) for points in size.groups())
    uri = f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}"
    return Picture(caption, unescape(label[1]), path.as_posix(), width, height, uri)


def _alarms(study: Path, path: PurePath) -> tuple[Alarm, ...] | None:
    try:
        alarms = read_json(_content(study, path) or b"")["alarms"]
        return tuple(Alarm(*(str(alarm[part]) for part in ("kind", "message", "advice"))) for alarm in alarms)
    except (ValueError, KeyError, TypeError):
        return None


def _content(study: Path, path: PurePath) -> bytes | None:
    """What a file of a trial holds; None where it cannot be read, is too large, or lies outside the trials' folders."""
    try:
        return (study / path).read_bytes() if is_own(study / path, study.resolve() / "trials", MOST_BYTES) else None
    except (OSError, ValueError, RuntimeError):  # the last is a loop of links
        return None
