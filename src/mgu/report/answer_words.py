"""How the answers on the test split are said."""

from mgu.report.answers import SHOWN, AnswerSet, ClassDetail, Confused, ModelErrors, ModelMetrics, NamedClass
from mgu.report.figures import MeanSd, mean_of, mean_sd, quantity
from mgu.report.score import R2
from mgu.report.words import Column

MISSING = "No trial has its answers on the test split on record: their metrics are not known."
OF_ERRORS = (
    "Of the test split, by the weights of each trial's best epoch: R², the mean absolute error (MAE) and the root of "
    "the mean squared error (RMSE) in the target's unit; means over the seeds."
)
_OF_CLASSES = (
    "Of the test split, by the weights of each trial's best epoch: precision, recall and F1 are plain means over the "
    "classes seen (macro) in per cent, the log-loss is the mean cross-entropy in nats; means over the seeds."
)
_OF_CASES = (
    "A case is what the data holds together, such as the images of one patient. It is answered by the mean of the "
    "probabilities that its samples are given: the class with the highest is taken, and the log-loss is of that mean. "
    "Samples of one case are not independent: how sure the figures are is said by the number of cases, not of samples."
)


def method(answers: AnswerSet) -> str:
    """How the figures are found."""
    return _OF_CASES if answers.units == "cases" else _OF_CLASSES


def _column(header: str, name: str, digits: int) -> Column[ModelMetrics]:
    def figure(row: ModelMetrics) -> MeanSd | None:
        found: MeanSd | None = getattr(row, name)
        return found

    return Column(header, lambda row: mean_sd(figure(row), digits), lambda row: mean_of(figure(row)), numeric=True)


COLUMNS: tuple[Column[ModelMetrics], ...] = (
    Column("model_name", lambda row: row.model_name, lambda row: row.model_name),
    _column("accuracy, %", "accuracy", 2),
    _column("precision, %", "precision", 2),
    _column("recall, %", "recall", 2),
    _column("F1, %", "f1", 2),
    _column("log-loss", "log_loss", 4),
)
ERROR_COLUMNS: tuple[Column[ModelErrors], ...] = (
    Column("model_name", lambda row: row.model_name, lambda row: row.model_name),
    Column("R²", lambda row: R2.mean_sd(row.r2), lambda row: mean_of(row.r2), numeric=True),
    Column("MAE", lambda row: quantity(row.mae), lambda row: mean_of(row.mae), numeric=True),
    Column("RMSE", lambda row: quantity(row.rmse), lambda row: mean_of(row.rmse), numeric=True),
)


def class_columns(units: str) -> tuple[Column[NamedClass], ...]:
    """Of the classes, ``units`` being what is counted."""
    return (
        Column("class", lambda row: row[0], lambda row: row[0]),
        Column("precision, %", lambda row: per_cent(row[1].precision), lambda row: row[1].precision, numeric=True),
        Column("recall, %", lambda row: per_cent(row[1].recall), lambda row: row[1].recall, numeric=True),
        Column("F1, %", lambda row: per_cent(row[1].f1), lambda row: row[1].f1, numeric=True),
        Column(units, lambda row: f"{row[1].support:,}", lambda row: row[1].support, numeric=True),
    )


def confused_columns(units: str) -> tuple[Column[Confused], ...]:
    """Of the pairs that are confused, ``units`` being what is counted."""
    return (
        Column("class", lambda row: row.truth, lambda row: row.truth),
        Column("taken for", lambda row: row.taken, lambda row: row.taken),
        Column(units, lambda row: f"{row.count:,}", lambda row: row.count, numeric=True),
        Column("of the class, %", lambda row: per_cent(row.share), lambda row: row.share, numeric=True),
    )


def title(detail: ClassDetail, units: str) -> str:
    of_cases = ", case by case" if units == "cases" else ""
    together = f"seeds {', '.join(map(str, detail.seeds))} together"
    return f"{detail.model_name}, {together if len(detail.seeds) > 1 else f'seed {detail.seeds[0]}'}{of_cases}"


def matrix_caption(detail: ClassDetail, units: str) -> str:
    if detail.is_small:
        return f"Test {units}: a row a true class, a column the class that they were taken for."
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
