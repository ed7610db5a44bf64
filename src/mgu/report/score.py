"""What the score of a study is, and how scores are said."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from mgu.report.figures import UNKNOWN, MeanSd, mean_sd, number
from mgu.study.trial import StudyView


@dataclass(frozen=True)
class Score:
    """A score by its ``name`` in sentences and its ``short`` one in columns; ``about`` says what it is.

    What is on record is shown ``scale`` times as large, with ``digits`` decimals and its ``unit``; differences are in
    ``step``. ``is_share`` says that it is a share of samples, so that one of them can be told in steps. Pictures show
    nothing below ``floor`` where something is above it.
    """

    name: str
    short: str
    about: str
    scale: float
    digits: int
    unit: str
    step: str
    is_share: bool
    floor: float = -inf

    def shown(self, recorded: float | None) -> float | None:
        """What is shown of a score on record."""
        return None if recorded is None else self.scale * recorded

    def number(self, figure: float | None) -> str:
        """99.32, or 0.4812."""
        return number(figure, self.digits)

    def mean_sd(self, figure: MeanSd | None) -> str:
        """99.32 ± 0.05, or 0.4812 ± 0.0093."""
        return mean_sd(figure, self.digits)

    def full(self, figure: MeanSd | float | None) -> str:
        """With its unit: 99.32 ± 0.05 %, or 0.4812 ± 0.0093."""
        if figure is None:
            return UNKNOWN
        return (self.mean_sd(figure) if isinstance(figure, MeanSd) else self.number(figure)) + self.unit

    def signed(self, difference: float) -> str:
        """A difference with its sign: +0.18, or -0.0420."""
        rounded = round(difference, self.digits) + 0  # the 0 makes -0.00 a +0.00
        return ("+" if rounded >= 0 else "") + self.number(rounded)

    def difference(self, difference: float) -> str:
        """How large a difference is: 0.18 points, or 0.0420."""
        return self.number(abs(difference)) + self.step

    def is_level(self, difference: float) -> bool:
        """Whether it is too small to be seen."""
        return abs(difference) < 0.5 * 10.0**-self.digits

    def grain(self, count: int | None, what: str) -> str:
        """How much one of so many samples is; empty where that cannot be said."""
        return f"one {what} is {self.difference(self.scale / count)}" if self.is_share and count else ""

    def column(self, split: str) -> str:
        """In a file: val_acc, or val_r2."""
        return f"{split}_{self.short}"

    def header(self, split: str) -> str:
        """Above a table's column: val_acc, %, or val_r2."""
        return with_unit(self.column(split), self.unit)

    @property
    def cut(self) -> str:
        """What pictures leave out; empty where nothing."""
        return f"What is below {self.floor:g} is not shown." if self.floor > -inf else ""

    @property
    def axis(self) -> str:
        """Beside a picture's axis: validation accuracy, %, or validation R²."""
        return with_unit(f"validation {self.name}", self.unit)


def with_unit(name: str, unit: str) -> str:
    return f"{name},{unit}" if unit else name


ACCURACY = Score(
    "accuracy",
    "acc",
    "The score is the accuracy: the share of the samples that are taken for what they are, in per cent; differences "
    "are in points of it.",
    scale=100,
    digits=2,
    unit=" %",
    step=" points",
    is_share=True,
)
R2 = Score(
    "R²",
    "r2",
    "The score is R² = 1 - the sum of the squared errors / that of the squared deviations from the mean: 1 is the "
    "best, 0 is what the mean as the answer to everything has, and what is worse is below 0. Scores and their "
    "differences are plain numbers.",
    scale=1,
    digits=4,
    unit="",
    step="",
    is_share=False,
    floor=-0.2,
)

#: By what the networks of a study are to do.
SCORES: Mapping[str, Score] = {"classification": ACCURACY, "regression": R2}


def score_of(view: StudyView) -> Score:
    """The score of a study."""
    return SCORES[view.task]
