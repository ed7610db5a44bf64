"""How good the answers on the test split are, by scikit-learn's metrics: by model, and by class for the best two."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from mgu.history import Answers
from mgu.metrics import ClassMetrics, metrics
from mgu.report.summary import MeanSd, Summary
from mgu.study.trial import Record, StudyView

#: Up to so many classes have their matrix shown; of more, so many are named.
SHOWN = 20

NamedClass = tuple[str, ClassMetrics]


@dataclass(frozen=True)
class ModelMetrics:
    """A model's metrics of the test split over its finished seeds, plain means over the classes: precision, recall and
    F1 in per cent, the log-loss in nats. All are None where no trial has its answers on record."""

    model_name: str
    is_mgu: bool
    precision: MeanSd | None
    recall: MeanSd | None
    f1: MeanSd | None
    log_loss: MeanSd | None


@dataclass(frozen=True)
class Confused:
    """Samples of one class that were taken for another; ``share`` is of all samples of the class."""

    truth: str
    taken: str
    count: int
    share: float


@dataclass(frozen=True)
class ClassDetail:
    """The answers of one model by class, the seeds' confusion matrices added up: ``confusion[i][j]`` counts the samples
    of class i that were taken for class j, and ``by_class`` has their metrics in the order of ``classes``."""

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


def model_metrics(view: StudyView, summary: Summary) -> tuple[ModelMetrics, ...]:
    """The metrics of each model, best first as in the summary; none where no trial has its answers on record."""
    known = tuple(_model(row.model_name, row.is_mgu, _answers(view, row.model_name)) for row in summary.rows)
    return known if any(row.f1 for row in known) else ()


def class_details(view: StudyView, summary: Summary) -> tuple[ClassDetail, ...]:
    """The answers of the best MGU model, as hardened where that finished, and of the best plain one, where known."""
    hardened = summary.hardened.row if summary.hardened and summary.hardened.row.seeds else None
    rows = [row for row in (hardened or summary.best_mgu, summary.best_plain) if row]
    details = (_detail(view, row.model_name, row.is_mgu) for row in rows)
    return tuple(detail for detail in details if detail)


def _answers(view: StudyView, model_name: str) -> dict[int, Answers]:
    """What the model's finished trials answered, by seed."""
    every = (found for record in view.records for found in (record, record.hardened) if found)
    return {
        record.trial.seed: record.result.test_answers
        for record in every
        if _counts(record, model_name) and record.result and isinstance(record.result.test_answers, Answers)
    }


def _counts(record: Record, model_name: str) -> bool:
    return record.trial.model_name == model_name and record.status == "finished"


def _model(model_name: str, is_mgu: bool, answers: dict[int, Answers]) -> ModelMetrics:
    found = [metrics(of_seed).macro for of_seed in answers.values()]
    return ModelMetrics(
        model_name,
        is_mgu,
        precision=_per_cent(of_seed.precision for of_seed in found),
        recall=_per_cent(of_seed.recall for of_seed in found),
        f1=_per_cent(of_seed.f1 for of_seed in found),
        log_loss=MeanSd.of(of_seed.log_loss for of_seed in answers.values()),
    )


def _per_cent(fractions: Iterable[float]) -> MeanSd | None:
    return MeanSd.of(100 * fraction for fraction in fractions)


def _detail(view: StudyView, model_name: str, is_mgu: bool) -> ClassDetail | None:
    answers = _answers(view, model_name)
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
