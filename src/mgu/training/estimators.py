"""scikit-learn's estimators on the splits and the clocks that networks are trained on."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mgu.data import DataSet
from mgu.history import Epoch, Result
from mgu.measure import Clock, Meter
from mgu.training.cases import case_answers
from mgu.training.samples import Samples, on_device
from mgu.training.tasks import Task, task_of


@dataclass(frozen=True)
class Kind:
    """How an estimator is made, from the seed, for classes and for a quantity; all else is scikit-learn's default."""

    classifier: Callable[[int], Any]
    regressor: Callable[[int], Any]


def _boosting_classifier(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(random_state=seed)


def _boosting_regressor(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(random_state=seed)


def _mlp_classifier(seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(random_state=seed)


def _mlp_regressor(seed: int) -> Any:
    from sklearn.neural_network import MLPRegressor

    return MLPRegressor(random_state=seed)


#: The estimators by name.
ESTIMATORS: Mapping[str, Kind] = {
    "hist_gradient_boosting": Kind(_boosting_classifier, _boosting_regressor),
    "mlp": Kind(_mlp_classifier, _mlp_regressor),
}


def fit_estimator(name: str, data: DataSet, *, seed: int = 0, meter: Meter | None = None) -> Result:
    """Fit an estimator of ``ESTIMATORS`` on the training split, standardised and flat, as a history of one epoch.

    Validation is only what it is measured on: an estimator that stops early cuts its own from the training split. It
    is fitted on the processor, with as many threads as it takes by itself, and holds all samples in memory.
    """
    clock = Clock(torch.device("cpu"))
    task, kind = task_of(data), ESTIMATORS[name]
    begun = clock.now()
    train, validation, test = on_device(data, torch.device("cpu"))
    estimator = (kind.classifier if data.classes else kind.regressor)(seed)
    with clock.running(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged after its default number of iterations
        estimator.fit(_flat(train.x[:]), train.y.numpy())
    train_loss, train_score = _judged(estimator, train, task)
    val_loss, val_score = _judged(estimator, validation, task)
    elapsed = clock.now() - begun
    answered = _outputs(estimator, test)
    tts_s = clock.now() - begun
    return Result(
        status="finished",
        tts_s=tts_s,
        train_s=clock.seconds,
        train_score=train_score,
        val_score=val_score,
        test_score=task.score(task.scored(answered, test.y).item(), test.y),
        best_epoch=1,
        history=(Epoch(1, train_loss, train_score, val_loss, val_score, elapsed),),
        test_answers=task.answers(answered, test.y),
        test_case_answers=case_answers(task, answered, test),
        usage=meter.lap() if meter else None,
    )


def _judged(estimator: Any, samples: Samples, task: Task) -> tuple[float, float]:
    """Its mean loss and its score."""
    answered = _outputs(estimator, samples)
    return task.loss(answered, samples.y).item(), task.score(task.scored(answered, samples.y).item(), samples.y)


def _outputs(estimator: Any, samples: Samples) -> Tensor:
    """What a network would give: logits, of which the probabilities' logarithms are some, or the quantity."""
    if hasattr(estimator, "predict_proba"):
        found = estimator.predict_proba(_flat(samples.x[:])).astype(np.float64)
        return torch.from_numpy(np.log(found.clip(math.ulp(1.0)))).to(torch.float32)
    return torch.from_numpy(estimator.predict(_flat(samples.x[:])).astype(np.float32)).unsqueeze(1)


def _flat(x: Tensor) -> NDArray[np.float32]:
    return np.asarray(x.flatten(1).numpy())
