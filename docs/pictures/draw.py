"""Draw the documentation's pictures into this folder, by the project's own code: ``python docs/pictures/draw.py``.

The unit's are drawn from its chain; the others are of a recorded study (``results/mnist``), whose report has them.
"""

import json
import shutil
from pathlib import Path

from mgu.diagnosis import Diagnosis, UnitReport
from mgu.files import write_whole
from mgu.history import Decision
from mgu.report.architecture import architecture_figure
from mgu.report.plots import figure_svg
from mgu.wiring import FORMS

HERE = Path(__file__).parent
STUDY = HERE.parents[1] / "results" / "mnist"
TRIAL = STUDY / "trials" / "MNI_MGU_001-seed0"


def unit(name: str, form: str) -> UnitReport:
    """A unit whose gates nobody has looked at yet."""
    return UnitReport(name, (1,), (), FORMS[form])


def decisions() -> list[Decision]:
    """What was decided of each gate of the trial's network."""
    card = json.loads((TRIAL / "hardened" / "model.json").read_text(encoding="utf-8"))["card"]
    return [Decision(**entry) for entry in card["decisions"]]


def write(name: str, units: list[UnitReport], decided: list[Decision]) -> None:
    """Draw units, their gates decided where they are."""
    figure = architecture_figure(Diagnosis(tuple(units)), decided)
    write_whole(HERE / f"{name}.svg", f"{figure_svg(figure)}\n".encode())


def main() -> None:
    decided = decisions()
    layers = [unit(name, "code") for name in sorted({decision.unit for decision in decided})]
    write("unit", [unit(form, form) for form in FORMS], [])
    write("learned", [unit("a unit", "code"), *layers], decided)
    for picture in (TRIAL / "gates-means.svg", TRIAL / "gates-effects.svg", STUDY / "cost.svg"):
        shutil.copyfile(picture, HERE / picture.name)


if __name__ == "__main__":
    main()
