"""The two estimators."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor, nn

from mgu.errors import InputError
from mgu.sklearn.base import BaseMGU
from mgu.sklearn.fitting import Array
from mgu.sklearn.rows import Floats, Rows
from mgu.sklearn.tables import Scaling
from mgu.sklearn.tasks import WeightedClassification, WeightedRegression
from mgu.training.tasks import Classification, Regression, Task


class MGUClassifier(ClassifierMixin, BaseMGU):  # type: ignore[misc]
    """A classifier: a stack of MultiGatedUnits over linear layers, hardened early and trained on as a plain network.

    Columns are standardised. Gaps become the column's median, with an indicator beside; the text columns of a
    pandas DataFrame become categories (``mgu.data.features``). Of every ``1 / validation_fraction`` rows, in the
    order of their targets, one is held out. By AdamW, with a learning rate that falls to 0 in half a cosine over
    ``max_iter`` epochs, the soft network is trained on the others for a share ``harden_after`` of the epochs; its
    gates are decided by the loss on the held-out rows; the plain network is trained on all rows for the rest of the
    epochs.

    With ``early_stopping`` the held-out rows stay held out: training ends once their loss has not fallen for
    ``n_iter_no_change`` epochs, and the weights of the best epoch answer.

    Equal rows are one row with the sum of their weights, and rows are put into an order of their own: a weight of 2 is
    the same as the row twice, and the order of the rows is of no matter. Not so in a frame with text, whose medians and
    rare categories (below 1 %) are those of its rows without their weights.

    ``width`` is that of each of ``depth`` units, "auto" the power of two nearest to 1.5 sqrt(rows), from 32 to 256.
    ``activation`` and ``unit``, a dict of further options, are MultiGatedUnit's; ``dropout`` is before the readout;
    ``weight_decay`` is of the layers' kernels, "auto" 300 / rows, from 0.1 to 1. ``batch_size`` "auto" is a
    sixteenth of the rows, from 32 to 256. ``harden_after=0`` leaves the network soft. ``class_weight`` is a dict,
    "balanced" (the rows' weight / (classes * the weight of the class)) or None. ``warm_start`` begins a fit with
    the network of the last one, and its columns and classes. ``random_state`` is as everywhere in scikit-learn.

    After a fit there are ``classes_``, ``network_`` (a plain ``torch.nn.Module`` in 64 bits, from standardised features
    to logits), ``soft_network_`` (as it was hardened), ``decisions_``, ``history_`` (scores in it are negative losses),
    ``n_iter_``, ``width_``, ``features_``, ``scaling_``, ``n_features_in_`` and, for tables with names,
    ``feature_names_in_``.

    Source: Damian & Piciu 2020, for the unit; Loshchilov & Hutter 2017 and 2019, for the training.
    """

    _y_numeric = False

    def __init__(
        self,
        *,
        width: int | str = "auto",
        depth: int = 2,
        activation: str | nn.Module = "selu",
        dropout: float = 0.0,
        unit: Any = None,
        learning_rate: float = 0.003,
        weight_decay: float | str = "auto",
        batch_size: int | str = "auto",
        max_iter: int = 100,
        early_stopping: bool = False,
        validation_fraction: float = 0.15,
        n_iter_no_change: int = 20,
        harden_after: float = 0.1,
        class_weight: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            width=width,
            depth=depth,
            activation=activation,
            dropout=dropout,
            unit=unit,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            max_iter=max_iter,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            harden_after=harden_after,
            warm_start=warm_start,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit, and return the estimator. X (rows, columns), y (rows,), sample_weight (rows,), at least 0, or None.

        Raises InputError for a parameter out of range, for a column that cannot be learned from, by its name, for text
        that is in no DataFrame, and for a loss that is no longer finite; and what scikit-learn raises for X, y and
        weights of the wrong shape, for sparse and for infinite X.
        """
        return self._fit(X, y, sample_weight)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one pass over these rows, with a constant learning rate, and return the estimator.

        Columns, scales and classes are learned from the first call, in which ``classes`` names all that will come; None
        is those of its rows. The network is soft until ``harden`` is called, or plain where ``fit`` came before.
        Weights count within a call: they are divided by their mean in it. Raises what ``fit`` raises, and InputError
        for classes that are not those of the first call, and for ``class_weight="balanced"``, which needs all rows.
        """
        self._check_pass(classes)
        return self._partial_fit(X, y, sample_weight, classes=classes)

    def predict(self, X: Any) -> Array:
        """The class of the highest probability of each row, (rows,)."""
        outputs = self._outputs(X)
        return np.asarray(self.classes_[outputs.argmax(axis=1)])

    def predict_proba(self, X: Any) -> Floats:
        """The probability of each class, (rows, classes) in the order of ``classes_``."""
        outputs = self._outputs(X)
        return np.asarray(torch.softmax(torch.from_numpy(outputs), dim=1).numpy())

    def predict_log_proba(self, X: Any) -> Floats:
        """Its logarithm."""
        outputs = self._outputs(X)
        return np.asarray(torch.log_softmax(torch.from_numpy(outputs), dim=1).numpy())

    def _task(self) -> Task:
        return WeightedClassification(len(self.classes_))

    def _plain_task(self) -> Task:
        return Classification(len(self.classes_))

    def _plain_targets(self, y: Any) -> Tensor:
        return torch.from_numpy(self._numbers(np.asarray(y))).long()

    def _learn_targets(self, y: Array, classes: Any) -> None:
        check_classification_targets(y)
        self.classes_ = np.unique(y if classes is None else np.asarray(classes))

    def _learn_scale(self, rows: Rows) -> None:
        """Classes have none."""

    def _numbers(self, y: Array) -> Floats:
        check_classification_targets(y)
        known = np.isin(y, self.classes_)
        if not known.all():
            raise InputError(
                f"y holds {y[~known].tolist()[0]!r}, which is none of the classes that the estimator began with: "
                f"{', '.join(map(repr, self.classes_.tolist()))}; leave such rows out, or begin anew: fit without "
                "warm_start, or name all classes in the first partial_fit"
            )
        return np.searchsorted(self.classes_, y).astype(np.float64)

    def _scaled(self, numbers: Floats) -> Floats:
        return numbers

    def _check_pass(self, classes: Any) -> None:
        """Raise InputError for what ``partial_fit`` cannot take."""
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            raise InputError(
                "class_weight='balanced' needs all rows at once, which partial_fit does not have; give a dict from "
                "class to weight"
            )
        if classes is None or not hasattr(self, "network_"):
            return
        if not np.array_equal(np.unique(np.asarray(classes)), self.classes_):
            raise InputError(
                f"classes are {list(classes)!r}, but the estimator began with {self.classes_.tolist()!r}; leave "
                "classes out, or begin anew with a clone"
            )

    def _weights(self, numbers: Floats, weight: Floats) -> Floats:
        of_row = numbers.astype(np.int64)
        totals = np.bincount(of_row, weight, len(self.classes_)).astype(np.float64)
        return weight * self._class_weights(totals)[of_row]

    def _class_weights(self, totals: Floats) -> Floats:
        """The weight of each class, of which there are ``totals``."""
        if self.class_weight is None:
            return np.ones(len(totals))
        if self.class_weight == "balanced":
            balanced: Floats = totals.sum() / (np.count_nonzero(totals) * np.where(totals > 0, totals, 1))
            return balanced
        if not isinstance(self.class_weight, dict):
            raise InputError(
                f"class_weight must be None, 'balanced' or a dict from class to weight; {self.class_weight!r} was given"
            )
        known = self.classes_.tolist()
        unknown = [label for label in self.class_weight if label not in known]
        if unknown:
            raise InputError(
                f"class_weight has {unknown[0]!r}, which is no class; the classes are {', '.join(map(repr, known))}"
            )
        return np.array([float(self.class_weight.get(label, 1.0)) for label in known])


class MGURegressor(RegressorMixin, BaseMGU):  # type: ignore[misc]
    """A regressor of one quantity: as ``MGUClassifier``, by the mean squared error of the standardised target.

    After a fit there is ``target_scaling_`` in place of ``classes_``; ``network_`` gives the standardised target.
    """

    _y_numeric = True

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit, and return the estimator. X (rows, columns), y (rows,), sample_weight (rows,), at least 0, or None.

        Raises InputError for a parameter out of range, for a column that cannot be learned from, by its name, for text
        that is in no DataFrame, and for a loss that is no longer finite; and what scikit-learn raises for X, y and
        weights of the wrong shape, for sparse and for infinite X.
        """
        return self._fit(X, y, sample_weight)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one pass over these rows, with a constant learning rate, and return the estimator.

        Columns and scales are learned from the first call. The network is soft until ``harden`` is called, or plain
        where ``fit`` came before. Weights count within a call: they are divided by their mean in it. Raises what
        ``fit`` raises.
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> Floats:
        """The quantity of each row, (rows,), in the unit of the targets."""
        outputs = self._outputs(X)
        return self.target_scaling_.undo(outputs[:, 0])

    def _task(self) -> Task:
        return WeightedRegression(float(self.target_scaling_.std))

    def _plain_task(self) -> Task:
        return Regression(float(self.target_scaling_.std))

    def _plain_targets(self, y: Any) -> Tensor:
        return torch.from_numpy(self._scaled(self._numbers(np.asarray(y))))

    def _learn_targets(self, y: Array, classes: Any) -> None:
        """There are none."""

    def _learn_scale(self, rows: Rows) -> None:
        self.target_scaling_ = Scaling.learned(rows.y, rows.weight)

    def _numbers(self, y: Array) -> NDArray[np.float64]:
        return y.astype(np.float64)

    def _scaled(self, numbers: Floats) -> Floats:
        return self.target_scaling_.apply(numbers)

    def _weights(self, numbers: Floats, weight: Floats) -> Floats:
        return weight
