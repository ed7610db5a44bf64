"""How the numbers are said: figures with their units, the columns of the table, and the answer in a sentence or two."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from mgu.report.published import Published
from mgu.report.summary import Cost, Hardened, Margin, MeanSd, RivalResult, Row, Summary

#: What a score is.
SCORE = "accuracy"
UNKNOWN = "-"
MGU_MARK = "◀ MGU"

#: How every study is measured; one paragraph each.
METHOD = (
    "tts is the time to solution: wall time from the first touch of the data to the end of the test evaluation. "
    "train_s is the part of it spent in training steps. Compilation, and a first step of each batch size, is timed "
    "apart and is in neither.",
    "Validation decides: accuracies are those of the epoch with the best validation accuracy, and the test set is read "
    "once per trial. The training accuracy is the running mean over that epoch, with dropout on.",
    "One model is trained after the other on one machine, and the grid's total is the serial sum of its cells: those "
    "that diverged or failed and the time lost in earlier attempts are part of it. Over several seeds, the total is "
    "the mean of the seeds that every cell ended; ± is the sample standard deviation.",
    "An MGU network has two rows. The first is trained to its end with its gates. The second goes on from an early "
    "epoch of it: the gates are decided on validation samples, and the plain network that is left is trained by the "
    "same recipe; the soft epochs before and the deciding are on its clock. Latency is the median time of a batch of "
    "the training's size in evaluation mode, on no clock.",
    "Margins are means over the seeds that both models finished. A diverged or failed trial has no accuracy here, but "
    "its cost counts.",
)


RowT = TypeVar("RowT")


@dataclass(frozen=True)
class Column(Generic[RowT]):
    """A column of a table: a row's text under ``header``, and the value it is sorted by."""

    header: str
    text: Callable[[RowT], str]
    value: Callable[[RowT], str | float | None]
    numeric: bool = False


COLUMNS: tuple[Column[Row], ...] = (
    Column("rank", lambda row: str(row.rank or UNKNOWN), lambda row: row.rank, numeric=True),
    Column("model_name", lambda row: row.model_name, lambda row: row.model_name),
    Column("layout", lambda row: row.layout, lambda row: row.layout),
    Column("norm", lambda row: row.norm, lambda row: row.norm),
    Column("residual", lambda row: row.residual, lambda row: row.residual),
    Column("size", lambda row: size(row.model_size), lambda row: row.model_size, numeric=True),
    Column("tts", lambda row: seconds(row.tts_s), lambda row: row.tts_s, numeric=True),
    Column("train_acc, %", lambda row: mean_sd(row.train_score), lambda row: _mean(row.train_score), numeric=True),
    Column("val_acc, %", lambda row: mean_sd(row.val_score), lambda row: _mean(row.val_score), numeric=True),
    Column("test_acc, %", lambda row: mean_sd(row.test_score), lambda row: _mean(row.test_score), numeric=True),
    Column("latency", lambda row: milliseconds(row.latency_s), lambda row: row.latency_s, numeric=True),
    Column("seeds", lambda row: f"{row.seeds} of {row.trials}", lambda row: row.seeds, numeric=True),
    Column("status", lambda row: row.status, lambda row: row.status),
)


#: Of the models that are compared.
COMPARED_COLUMNS = tuple(
    column for column in COLUMNS if column.header in ("model_name", "val_acc, %", "test_acc, %", "tts", "size")
)


def columns(published: Mapping[str, Published], rows: Iterable[Row]) -> tuple[Column[Row], ...]:
    """``COLUMNS``, and where models of the study were published their figures beside the study's own."""

    def val_acc(row: Row) -> float | None:
        return published[row.model_name].val_acc if row.model_name in published else None

    def tts_s(row: Row) -> float | None:
        return published[row.model_name].tts_s if row.model_name in published else None

    if not any(row.model_name in published for row in rows):
        return COLUMNS
    beside = {
        "val_acc, %": Column[Row]("paper: val_acc, %", lambda row: number(val_acc(row)), val_acc, numeric=True),
        "tts": Column[Row]("paper: tts", lambda row: seconds(tts_s(row)), tts_s, numeric=True),
    }
    pairs = ((column, beside.get(column.header)) for column in COLUMNS)
    return tuple(column for pair in pairs for column in pair if column)


def size(weights: int) -> str:
    """A number of weights as the published tables have it: 640, 98.92 K, 2.41 M; - where it is not known (0)."""
    if not weights:
        return "-"
    scale, unit = next((s, u) for s, u in ((1, ""), (1e3, " K"), (1e6, " M"), (1e9, " G")) if weights < 999.995 * s)
    return f"{weights / scale:.2f}".rstrip("0").rstrip(".") + unit


def seconds(duration_s: float | None) -> str:
    """A duration to about three digits: 0 s, 0.45 s, 45.2 s, 8,612 s."""
    if duration_s is None:
        return UNKNOWN
    digits = 2 if 0 < duration_s < 10 else 1 if 0 < duration_s < 100 else 0
    return f"{duration_s:,.{digits}f} s"


def milliseconds(duration_s: float | None) -> str:
    """A short duration to three digits: 0.451 ms, 12.3 ms."""
    return UNKNOWN if duration_s is None else f"{float(f'{1000 * duration_s:.3g}'):g} ms"


def mean_sd(figure: MeanSd | None) -> str:
    """A mean with two decimals and, over several seeds, its standard deviation: 99.32 ± 0.05."""
    if figure is None:
        return UNKNOWN
    return f"{figure.mean:.2f}" + ("" if figure.sd is None else f" ± {figure.sd:.2f}")


def _mean(figure: MeanSd | None) -> float | None:
    return figure.mean if figure else None


def number(value: float | None) -> str:
    """A figure with two decimals: 99.32."""
    return UNKNOWN if value is None else f"{value:.2f}"


def percent(figure: MeanSd | None) -> str:
    return UNKNOWN if figure is None else f"{mean_sd(figure)} %"


def points(margin: float) -> str:
    """A signed margin with two decimals: +0.18, -0.42."""
    return f"{round(margin, 2) + 0:+.2f}"  # the 0 makes -0.00 a +0.00


def answer(summary: Summary) -> str:
    """What came out, a deficit said as plainly as a win; for a partial study, that it is one."""
    sentences = (_accuracy(summary), _time(summary), _of_hardened(summary))
    return " ".join(filter(None, sentences)) if summary.total else "The study has no trials."


def no_speed_up(summary: Summary) -> str:
    """Why no speed-up is claimed."""
    if not summary.total:
        return "the study has no trials"
    if summary.ended < summary.total:
        return f"partial: {summary.ended} of {summary.total} trials ended; no speed-up is claimed before all are"
    if not summary.complete:
        run = f"{summary.plain_models} of the grid's {summary.grid_size} plain models were run"
        return f"partial: {run}; no speed-up is claimed before all are"
    if not summary.best_mgu:
        return "no speed-up is claimed, since no MGU model finished"
    if not any(row.kind == "plain" for row in summary.rows):
        return "no speed-up is claimed, since no plain model was run"
    if summary.grid_cost and summary.mgu_cost and summary.grid_cost.seeds != summary.mgu_cost.seeds:
        return "no speed-up is claimed, since no seed was run on the MGU model and every plain one"
    if not summary.grid_cost:
        return "no speed-up is claimed, since no seed was run on every plain model"
    return "no speed-up is claimed, since the MGU model's time is not known"


def facts(summary: Summary) -> dict[str, str]:
    """What the answer rests on, by name."""
    known = {
        "Validation margin": _margin(summary.val_margin, summary.validation_size),
        "Test margin": _margin(summary.test_margin, summary.test_size),
        "Grid total": _cost(summary.grid_cost),
        "MGU tts": _cost(summary.mgu_cost, summary.best_mgu),
        "Speed-up": f"{summary.speed_up:.2f}" if summary.speed_up else no_speed_up(summary),
    }
    if summary.speed_up_all_mgu and summary.all_mgu_cost and summary.all_mgu_cost.models > 1:
        name = f"Speed-up with all {summary.all_mgu_cost.models} MGU models counted"
        known[name] = f"{summary.speed_up_all_mgu:.2f}; they took {_cost(summary.all_mgu_cost)}"
    known |= _hardened(summary)
    known |= {rival.title: _rival(summary, rival) for rival in summary.trained_rivals}
    costs = {"grid": summary.grid_cost, "MGU": summary.mgu_cost}
    if any(cost and cost.compile_s for cost in costs.values()):
        compiled = (f"{name} {seconds(cost.compile_s)}" for name, cost in costs.items() if cost)
        known["Compilation, apart"] = ", ".join(compiled)
    missed = [f"{row.model_name} ({row.status})" for row in summary.rows if row.missed]
    if missed:
        known["Diverged or failed"] = ", ".join(missed)
    return known | {"Trials ended": f"{summary.ended} of {summary.total}"}


def _of_hardened(summary: Summary) -> str:
    """What the hardened network is to the best plain model, where it has finished."""
    hard = summary.hardened
    if not hard or not hard.row.val_score or not hard.cost:
        return ""
    against = f", {_difference(hard.val_margin.mean)} than that plain model" if hard.val_margin.by_seed else ""
    speed_up = f": a speed-up of {summary.speed_up_hardened:.2f}" if summary.speed_up_hardened else ""
    reached = f"Hardened after epoch {_epochs(hard)} it reached {percent(hard.row.val_score)}{against}"
    return f"{reached}, in {seconds(hard.cost.total_s)}{speed_up}."


def _difference(margin: float | None) -> str:
    margin = margin or 0.0
    return f"{abs(margin):.2f} points {'better' if margin > 0 else 'worse'}" if abs(margin) >= 0.005 else "no better"


def _epochs(hard: Hardened) -> str:
    return " or ".join(map(str, hard.after_epochs))


def _hardened(summary: Summary) -> dict[str, str]:
    hard = summary.hardened
    if not hard:
        return {}
    speed_up = f"; speed-up {summary.speed_up_hardened:.2f}" if summary.speed_up_hardened else ""
    known = {
        "Hardened": f"after epoch {_epochs(hard)}; {percent(hard.row.val_score)} validation, "
        f"{percent(hard.row.test_score)} test, {size(hard.row.model_size)} weights, {hard.latency_ratio:.2f} times as "
        "fast in use as the soft network",
        "Hardened, change from the soft network": f"validation {_margin(hard.val_change, None)}, test "
        f"{_margin(hard.test_change, None)}",
        "Hardened, validation margin": _margin(hard.val_margin, summary.validation_size),
        "Hardened, test margin": _margin(hard.test_margin, summary.test_size),
        "Hardened, tts": f"{_cost(hard.cost, hard.row)}, soft epochs included{speed_up}",
    }
    return known | {f"Hardened, warning at seed {seed}": text for seed, text in hard.warnings}


def _rival(summary: Summary, rival: RivalResult) -> str:
    """What a trained rival reached, what that cost, and what the grid costs in its terms."""
    if not rival.best:
        return "no model has finished"
    reached = f"{percent(rival.best.val_score)} validation, {percent(rival.best.test_score)} test"
    speed_up = summary.speed_up_rival(rival)
    dearer = f", grid {speed_up:.2f} times as expensive" if speed_up else ""
    return f"{reached} ({rival.best.model_name}), cost {_cost(rival.cost)}{dearer}"


def _accuracy(summary: Summary) -> str:
    mgu, plain = summary.best_mgu, summary.best_plain
    if not mgu and not plain:
        rivals = any(rival.best for rival in summary.trained_rivals)
        return "No plain or MGU model has finished." if rivals else "No trial has finished."
    if not mgu or not plain:
        row, missing = (mgu, "plain") if mgu else (plain, "MGU")
        return f"{_reached(row)}; no {missing} model has finished."
    best = "the best plain model" if summary.complete else "the best plain model so far"
    tied = f" (of {summary.ties} equally accurate, the one with the lowest validation loss)" if summary.ties > 1 else ""
    missed = f" in {plain.seeds} of {plain.trials} seeds" if plain.missed else ""
    return (
        f"{_reached(mgu)}; {best}{tied}, {plain.model_name}, {percent(plain.val_score)}{missed}: {_verdict(summary)}."
    )


def _reached(row: Row | None) -> str:
    if not row:
        return ""
    missed = f" in {row.seeds} of {row.trials} seeds ({row.status})" if row.missed else ""
    return f"{row.model_name} reached {percent(row.val_score)} validation accuracy{missed}"


def _verdict(summary: Summary) -> str:
    if summary.margin is None:
        return "they share no finished seed, so no margin is given"
    seeds = len(summary.val_margin.by_seed)
    over = f" over {seeds} paired seeds" if seeds > 1 else ""
    if abs(summary.margin) < 0.005:
        return f"MGU is level with it{over}"
    return f"MGU is {abs(summary.margin):.2f} points {'better' if summary.margin > 0 else 'worse'}{over}"


def _time(summary: Summary) -> str:
    if not summary.speed_up or not summary.grid_cost:
        reason = no_speed_up(summary)
        return reason[0].upper() + reason[1:] + "."
    grid = f"the grid of {_models(summary.grid_cost)} {seconds(summary.grid_total_s)}"
    slower = "; MGU was slower than the whole grid" * (summary.speed_up < 1)
    return f"MGU took {seconds(summary.mgu_tts_s)}, {grid}: a speed-up of {summary.speed_up:.2f}{slower}."


def _models(cost: Cost) -> str:
    return f"{cost.models} model" + "s" * (cost.models != 1)


def _cost(cost: Cost | None, row: Row | None = None) -> str:
    if cost is None:
        return UNKNOWN
    over = f"mean of seeds {', '.join(map(str, cost.seeds))}" if len(cost.seeds) > 1 else f"seed {cost.seeds[0]}"
    return f"{seconds(cost.total_s)} ({row.model_name if row else _models(cost)}, {over})"


def _margin(margin: Margin, samples: int | None) -> str:
    """The mean, the seeds, and how coarse the figure is."""
    if margin.mean is None:
        return UNKNOWN
    by_seed = ", ".join(f"seed {seed} {points(value)}" for seed, value in margin.by_seed)
    grain = f"; one sample is {100 / samples:.2f} points" if samples else ""
    one = "; one seed says nothing of the spread" if len(margin.by_seed) == 1 else ""
    return f"{points(margin.mean)} points ({by_seed}{grain}{one})"
