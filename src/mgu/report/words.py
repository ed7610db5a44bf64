"""How the numbers are said: figures with their units, the columns of the table, and how all is measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mgu.report.figures import UNKNOWN, mean_of
from mgu.report.published import Published
from mgu.report.score import Score
from mgu.report.summary import Row

MGU_MARK = "◀ MGU"

RowT = TypeVar("RowT")


@dataclass(frozen=True)
class Column(Generic[RowT]):
    """A column of a table: a row's text under ``header``, and the value it is sorted by."""

    header: str
    text: Callable[[RowT], str]
    value: Callable[[RowT], str | float | None]
    numeric: bool = False


def columns(score: Score, published: Mapping[str, Published] | None = None) -> tuple[Column[Row], ...]:
    """The columns of the models, with their ``published`` figures, by name, beside the study's own where there are."""
    return (
        Column("rank", lambda row: str(row.rank or UNKNOWN), lambda row: row.rank, numeric=True),
        Column("model_name", lambda row: row.model_name, lambda row: row.model_name),
        Column("layout", lambda row: row.layout, lambda row: row.layout),
        Column("norm", lambda row: row.norm, lambda row: row.norm),
        Column("residual", lambda row: row.residual, lambda row: row.residual),
        Column("size", lambda row: size(row.model_size), lambda row: row.model_size, numeric=True),
        Column("tts", lambda row: seconds(row.tts_s), lambda row: row.tts_s, numeric=True),
        *_published(published, "tts_s", "tts", seconds),
        _scores(score, "train"),
        _scores(score, "val"),
        *_published(published, "val_score", score.header("val"), score.number),
        _scores(score, "test"),
        Column("latency", lambda row: milliseconds(row.latency_s), lambda row: row.latency_s, numeric=True),
        Column("seeds", lambda row: f"{row.seeds} of {row.trials}", lambda row: row.seeds, numeric=True),
        Column("status", lambda row: row.status, lambda row: row.status),
    )


def compared_columns(score: Score) -> tuple[Column[Row], ...]:
    """Those of the models that are compared."""
    shown = ("model_name", score.header("val"), score.header("test"), "tts", "size")
    return tuple(column for column in columns(score) if column.header in shown)


def _scores(score: Score, split: str) -> Column[Row]:
    name = f"{split}_score"
    return Column(
        score.header(split),
        lambda row: score.mean_sd(getattr(row, name)),
        lambda row: mean_of(getattr(row, name)),
        numeric=True,
    )


def _published(
    published: Mapping[str, Published] | None, name: str, header: str, say: Callable[[float | None], str]
) -> tuple[Column[Row], ...]:
    """The column of a published figure; none where nothing was published."""
    known = published or {}

    def value(row: Row) -> float | None:
        return getattr(known[row.model_name], name) if row.model_name in known else None

    return (Column(f"paper: {header}", lambda row: say(value(row)), value, numeric=True),) if known else ()


def method(score: Score) -> tuple[str, ...]:
    """How every study is measured; one paragraph each."""
    return (
        "tts is the time to solution: wall time from the first touch of the data to the end of the test evaluation. "
        "train_s is the part of it spent in training steps. Compilation, and a first step of each batch size, is timed "
        "apart and is in neither.",
        score.about,
        f"Validation decides: every {score.name} is of the epoch with the best validation {score.name}, and the test "
        "set is read once by each network. That of training is taken over the epoch as it runs, with dropout on.",
        "One model is trained after the other on one machine, and the grid's total is the serial sum of its cells: "
        "those that diverged or failed and the time lost in earlier attempts are part of it. Over several seeds, the "
        "total is the mean of the seeds that every cell ended; ± is the sample standard deviation.",
        "An MGU network has two rows. One is trained to its end with its gates. The other, the hardened one, goes on "
        "from an early epoch of it: the gates are decided on validation samples, and the plain network that is left is "
        "trained by the same recipe; the soft epochs before and the deciding are on its clock. Latency is the median "
        "time of a batch of the training's size in evaluation mode, on no clock.",
        "The best plain model is chosen among those with the most seeds. Margins are means over the seeds that both "
        f"models finished. A diverged or failed trial has no {score.name} "
        "here, but its cost counts.",
    )


def size(weights: int) -> str:
    """A number of weights as the published tables have it: 640, 98.92 K, 2.41 M, from a thousand G on in T; - where it
    is not known (0)."""
    if not weights:
        return "-"
    units = ((1, ""), (1e3, " K"), (1e6, " M"), (1e9, " G"))
    scale, unit = next(((s, u) for s, u in units if weights < 999.995 * s), (1e12, " T"))
    return f"{weights / scale:.2f}".rstrip("0").rstrip(".") + unit


def seconds(duration_s: float | None) -> str:
    """A duration to about three digits: 0 s, 0.45 s, 45.2 s, 8,612 s."""
    if duration_s is None:
        return UNKNOWN
    digits = 2 if 0 < duration_s < 10 else 1 if 0 < duration_s < 100 else 0
    return f"{duration_s:,.{digits}f} s"


def seed_list(seeds: Sequence[int]) -> str:
    """seed 0, or seeds 0, 1, 2."""
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def over(seeds: Sequence[int]) -> str:
    """What a figure is of: seed 0, or mean of seeds 0, 1, 2."""
    return "mean of " * (len(seeds) > 1) + seed_list(seeds)


def milliseconds(duration_s: float | None) -> str:
    """A short duration to three digits: 0.451 ms, 12.3 ms."""
    return UNKNOWN if duration_s is None else f"{float(f'{1000 * duration_s:.3g}'):g} ms"
