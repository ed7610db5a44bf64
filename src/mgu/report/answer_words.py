"""How the answers on the test split are said."""

from mgu.report.answers import SHOWN, ClassDetail, Confused, ModelMetrics, NamedClass
from mgu.report.summary import MeanSd
from mgu.report.words import UNKNOWN, Column, mean_sd

METHOD = (
    "Of the test split, by the weights of each trial's best epoch: precision, recall and F1 are plain means over the "
    "classes (macro) in per cent, the log-loss is the mean cross-entropy in nats; means over the seeds."
)
MISSING = "No trial has its answers on the test split on record: precision, recall, F1 and log-loss are not known."

COLUMNS: tuple[Column[ModelMetrics], ...] = (
    Column("model_name", lambda row: row.model_name, lambda row: row.model_name),
    Column("precision, %", lambda row: mean_sd(row.precision), lambda row: _mean(row.precision), numeric=True),
    Column("recall, %", lambda row: mean_sd(row.recall), lambda row: _mean(row.recall), numeric=True),
    Column("F1, %", lambda row: mean_sd(row.f1), lambda row: _mean(row.f1), numeric=True),
    Column("log-loss", lambda row: loss(row.log_loss), lambda row: _mean(row.log_loss), numeric=True),
)


def loss(figure: MeanSd | None) -> str:
    """A mean with four decimals and its standard deviation: 0.0812 ± 0.0093."""
    if figure is None:
        return UNKNOWN
    return f"{figure.mean:.4f}" + ("" if figure.sd is None else f" ± {figure.sd:.4f}")


def _mean(figure: MeanSd | None) -> float | None:
    return figure.mean if figure else None


CLASS_COLUMNS: tuple[Column[NamedClass], ...] = (
    Column("class", lambda row: row[0], lambda row: row[0]),
    Column("precision, %", lambda row: per_cent(row[1].precision), lambda row: row[1].precision, numeric=True),
    Column("recall, %", lambda row: per_cent(row[1].recall), lambda row: row[1].recall, numeric=True),
    Column("F1, %", lambda row: per_cent(row[1].f1), lambda row: row[1].f1, numeric=True),
    Column("samples", lambda row: f"{row[1].support:,}", lambda row: row[1].support, numeric=True),
)
CONFUSED_COLUMNS: tuple[Column[Confused], ...] = (
    Column("class", lambda row: row.truth, lambda row: row.truth),
    Column("taken for", lambda row: row.taken, lambda row: row.taken),
    Column("samples", lambda row: f"{row.count:,}", lambda row: row.count, numeric=True),
    Column("of the class, %", lambda row: per_cent(row.share), lambda row: row.share, numeric=True),
)


def title(detail: ClassDetail) -> str:
    together = f"seeds {', '.join(map(str, detail.seeds))} together"
    return f"{detail.model_name}, {together if len(detail.seeds) > 1 else f'seed {detail.seeds[0]}'}"


def matrix_caption(detail: ClassDetail) -> str:
    if detail.is_small:
        return "Test samples: a row a true class, a column the class that they were taken for."
    return f"The pairs of the {len(detail.classes)} classes that are confused most."


def matrix_rows(detail: ClassDetail) -> list[list[str]]:
    """The confusion matrix as text, each row with its class."""
    return [
        [name, *(f"{count:,}" for count in row)] for name, row in zip(detail.classes, detail.confusion, strict=True)
    ]


def classes_caption(detail: ClassDetail) -> str:
    if detail.is_small:
        return "The metrics of each class."
    return f"The metrics of the {SHOWN} classes with the lowest F1, of {len(detail.classes)}."


def per_cent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"
