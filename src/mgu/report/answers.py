"""How good the answers on the test split are: by model, and of classes by class for the best two."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from mgu.history import Answers, Errors, Result
from mgu.metrics import ClassMetrics, metrics
from mgu.report.figures import MeanSd
from mgu.report.summary import Summary
from mgu.study.trial import Record, StudyView

#: Up to so many classes have their matrix shown; of more, so many are named.
SHOWN = 20

NamedClass = tuple[str, ClassMetrics]
#: What a trial answered; None where that is not on record.
Reader = Callable[[Result], Answers | None]


@dataclass(frozen=True)
class ModelMetrics:
    """A model's metrics of the test split over its finished seeds: the accuracy, and plain means over the classes of
    precision, recall and F1, in per cent, and the log-loss in nats. All are None where no trial has its answers on
    record."""

    model_name: str
    is_mgu: bool
    accuracy: MeanSd | None
    precision: MeanSd | None
    recall: MeanSd | None
    f1: MeanSd | None
    log_loss: MeanSd | None


@dataclass(frozen=True)
class ModelErrors:
    """How far a model's answers are off over its finished seeds: R², and the mean absolute error and the root of the
    mean squared error in the target's unit. All are None where no trial has its errors on record."""

    model_name: str
    is_mgu: bool
    r2: MeanSd | None
    mae: MeanSd | None
    rmse: MeanSd | None


@dataclass(frozen=True)
class Confused:
    """Samples, or cases, of one class that were taken for another; ``share`` is of all samples of the class."""

    truth: str
    taken: str
    count: int
    share: float


@dataclass(frozen=True)
class ClassDetail:
    """The answers of one model by class, the seeds' confusion matrices added up: ``confusion[i][j]`` counts the
    samples, or cases, of class i that were taken for class j, and ``by_class`` has their metrics in the order of
    ``classes``."""

    model_name: str
    is_mgu: bool
    seeds: tuple[int, ...]
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    by_class: tuple[ClassMetrics, ...]

    @property
    def is_small(self) -> bool:
        """Whether the matrix can be read whole."""
        return len(self.classes) <= SHOWN

    @property
    def shown(self) -> list[NamedClass]:
        """The classes with their metrics, of many those with the lowest F1."""
        named = list(zip(self.classes, self.by_class, strict=True))
        return named if self.is_small else sorted(named, key=lambda entry: entry[1].f1)[:SHOWN]

    @property
    def confused(self) -> list[Confused]:
        """The pairs of classes that are confused most, at most ``SHOWN``."""
        pairs = [
            Confused(self.classes[i], self.classes[j], count, count / sum(row))
            for i, row in enumerate(self.confusion)
            for j, count in enumerate(row)
            if i != j and count
        ]
        return sorted(pairs, key=lambda pair: -pair.count)[:SHOWN]


@dataclass(frozen=True)
class AnswerSet:
    """The answers of a study with one for each of the test split's ``units``, "samples" or "cases": the metrics of each
    model, best first, and the best two by class."""

    units: str
    metrics: tuple[ModelMetrics, ...]
    details: tuple[ClassDetail, ...]


def answers(view: StudyView, summary: Summary) -> tuple[AnswerSet, ...]:
    """Those of samples and those of cases, as far as any trial has them on record."""
    readers: dict[str, Reader] = {"samples": _of_samples, "cases": lambda result: result.test_case_answers}
    sets = (
        AnswerSet(units, model_metrics(view, summary, reader), class_details(view, summary, reader))
        for units, reader in readers.items()
    )
    return tuple(found for found in sets if found.metrics)


def _of_samples(result: Result) -> Answers | None:
    return result.test_answers if isinstance(result.test_answers, Answers) else None


def model_metrics(view: StudyView, summary: Summary, reader: Reader = _of_samples) -> tuple[ModelMetrics, ...]:
    """The metrics of each model, best first as in the summary; none where no trial has its answers on record."""
    known = tuple(_model(row.model_name, row.is_mgu, _answers(view, row.model_name, reader)) for row in summary.rows)
    return known if any(row.f1 for row in known) else ()


def model_errors(view: StudyView, summary: Summary) -> tuple[ModelErrors, ...]:
    """The errors of each model, best first as in the summary; none where no trial has them on record."""
    known = tuple(_errors(row.model_name, row.is_mgu, _finished(view, row.model_name)) for row in summary.rows)
    return known if any(row.rmse for row in known) else ()


def class_details(view: StudyView, summary: Summary, reader: Reader = _of_samples) -> tuple[ClassDetail, ...]:
    """The answers of the best MGU model, as hardened where that finished, and of the best plain one, where known."""
    hardened = summary.hardened.row if summary.hardened and summary.hardened.row.seeds else None
    rows = [row for row in (hardened or summary.best_mgu, summary.best_plain) if row]
    details = (_detail(view, row.model_name, row.is_mgu, reader) for row in rows)
    return tuple(detail for detail in details if detail)


def _finished(view: StudyView, model_name: str) -> dict[int, Result]:
    """The results of the model's finished trials, by seed."""
    every = (found for record in view.records for found in (record, record.hardened) if found)
    return {record.trial.seed: record.result for record in every if _counts(record, model_name) and record.result}


def _answers(view: StudyView, model_name: str, reader: Reader) -> dict[int, Answers]:
    """What the model's finished trials answered, by seed."""
    known = {seed: reader(result) for seed, result in _finished(view, model_name).items()}
    return {seed: found for seed, found in known.items() if found}


def _counts(record: Record, model_name: str) -> bool:
    return record.trial.model_name == model_name and record.status == "finished"


def _model(model_name: str, is_mgu: bool, answers: dict[int, Answers]) -> ModelMetrics:
    found = [metrics(of_seed) for of_seed in answers.values()]
    return ModelMetrics(
        model_name,
        is_mgu,
        accuracy=_per_cent(of_seed.accuracy for of_seed in found),
        precision=_per_cent(of_seed.macro.precision for of_seed in found),
        recall=_per_cent(of_seed.macro.recall for of_seed in found),
        f1=_per_cent(of_seed.macro.f1 for of_seed in found),
        log_loss=MeanSd.of(of_seed.log_loss for of_seed in answers.values()),
    )


def _errors(model_name: str, is_mgu: bool, results: dict[int, Result]) -> ModelErrors:
    found = [result.test_answers for result in results.values() if isinstance(result.test_answers, Errors)]
    return ModelErrors(
        model_name,
        is_mgu,
        r2=MeanSd.of(errors.r2 for errors in found),
        mae=MeanSd.of(errors.mae for errors in found),
        rmse=MeanSd.of(errors.rmse for errors in found),
    )


def _per_cent(fractions: Iterable[float]) -> MeanSd | None:
    return MeanSd.of(100 * fraction for fraction in fractions)


def _detail(view: StudyView, model_name: str, is_mgu: bool, reader: Reader) -> ClassDetail | None:
    answers = _answers(view, model_name, reader)
    if not answers:
        return None
    counts = np.sum([of_seed.confusion for of_seed in answers.values()], axis=0).tolist()
    confusion = tuple(tuple(row) for row in counts)
    return ClassDetail(
        model_name,
        is_mgu,
        seeds=tuple(sorted(answers)),
        classes=_classes(view, len(confusion)),
        confusion=confusion,
        by_class=metrics(Answers(confusion, 0.0)).by_class,
    )


def _classes(view: StudyView, count: int) -> tuple[str, ...]:
    """The classes' names, or their numbers where the study was made without names."""
    data = view.settings.get("data")
    names = data.get("class_names") if isinstance(data, Mapping) else None
    return tuple(map(str, names if isinstance(names, list | tuple) and len(names) == count else range(count)))
