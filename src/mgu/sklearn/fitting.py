"""How an estimator is fitted: from rows to a network that answers. What targets are is left to the two kinds."""

import copy
from abc import abstractmethod
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import _check_sample_weight, _check_y, check_is_fitted
from torch import Tensor, nn

from mgu.data.features import CategoryColumn
from mgu.errors import InputError
from mgu.sklearn.parameters import architecture, check_parameters, recipe, width_of
from mgu.sklearn.rows import Floats, Rows, distinct, hold_out
from mgu.sklearn.tables import Scaling, encode, has_text, learn_table, read_table
from mgu.sklearn.tasks import labels
from mgu.sklearn.training import answered, one_pass, train
from mgu.torch import MultiGatedUnit, build_network
from mgu.torch.norms import BatchNorm
from mgu.training.learner import Setting
from mgu.training.samples import Samples
from mgu.training.tasks import Task

Array = NDArray[Any]

#: The weight of a new batch in batch norm's running statistics: of a small table there are few batches to learn from.
MOMENTUM = 0.1


class Fitting(BaseEstimator):  # type: ignore[misc]
    """What ``fit`` and ``partial_fit`` do, by an estimator's parameters."""

    def new_network(self) -> nn.Module:
        """A soft network for the rows and targets that the estimator was fitted on, with fresh weights."""
        shape = (len(self.scaling_.mean),)
        network = build_network(architecture(self, self.width_), shape, self._task().outputs, **(self.unit or {}))
        for module in network.modules():
            if isinstance(module, BatchNorm):
                module.momentum = MOMENTUM
        return network

    @property
    def outputs(self) -> int:
        """How many outputs the network of the fitted estimator has."""
        return self._task().outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        check_parameters(self)
        again = self.warm_start and hasattr(self, "network_")
        rows, seed = self._rows(X, y, sample_weight, reset=not again), self._seed()
        held = hold_out(rows.y, self.validation_fraction, len(getattr(self, "classes_", ())), seed)
        every, learned = _samples(rows, rows), _samples(rows[~held], rows)
        held_out = _samples(rows[held], rows) if held.any() else learned
        last = (learned, held_out) if self.early_stopping else (every, every)
        with torch.random.fork_rng(devices=[]):
            network = self._network(rows, seed, again)
            soft_epochs = max(1, round(self.harden_after * self.max_iter)) if self.harden_after else 0
            setting = self._setting(len(rows), seed)
            trained = train(network, (learned, held_out), last, setting, soft_epochs if is_soft(network) else 0)
        self._answer_with(trained.network)
        if trained.soft is not None:
            self.soft_network_, self.decisions_ = _answering(trained.soft), trained.decisions
        self.history_, self.n_iter_ = trained.history, len(trained.history)
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        check_parameters(self)
        again = hasattr(self, "network_")
        rows = self._rows(X, y, sample_weight, reset=not again, classes=classes)
        done = getattr(self, "n_iter_", 0)
        seed, samples = self._seed() + done, _samples(rows, rows)
        with torch.random.fork_rng(devices=[]):
            network = self._network(rows, seed, again)
            optimizer = one_pass(network, samples, self._setting(len(rows), seed), getattr(self, "_optimizer", None))
        self._answer_with(network)
        self._optimizer, self.n_iter_ = optimizer, done + 1
        return self

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _setting(self, rows: int, seed: int) -> Setting:
        return Setting(self._task(), recipe(self, rows), torch.device("cpu"), seed)

    def _rows(self, X: Any, y: Any, sample_weight: Any, *, reset: bool, classes: Any = None) -> Rows:
        """The distinct rows, standardised, with their weights; ``reset`` learns what the columns and targets become."""
        table = read_table(self, X, mixed=has_text(X) if reset else self._mixed, reset=reset)
        y = _check_y(y, y_numeric=self._y_numeric, estimator=self)
        check_consistent_length(table, y)
        weight = _check_sample_weight(sample_weight, table, dtype=np.float64, ensure_non_negative=True)
        _check_weight(weight)
        table, y, weight = table[weight > 0], y[weight > 0], weight[weight > 0]
        if reset:
            self._forget()
            self.features_ = learn_table(table, weight)
            self._learn_targets(y, classes)
        numbers = self._numbers(y)
        weight = self._weights(numbers, weight)
        _check_weight(weight)
        rows = distinct(encode(self.features_, table), numbers, weight)
        if reset:
            self.width_ = width_of(self, len(rows))
            self.scaling_ = Scaling.learned(rows.x, rows.weight)
            self._learn_scale(rows)
        return Rows(self.scaling_.apply(rows.x), self._scaled(rows.y), rows.weight)

    def _network(self, rows: Rows, seed: int, again: bool) -> nn.Module:
        """A new network, or a copy of that from the last fit, in the number format of training. Where a quantity is
        the same in all rows, a new one begins with it."""
        torch.manual_seed(seed)
        if again:
            return copy.deepcopy(self.network_).float()
        network = self.new_network()
        if self._y_numeric and np.ptp(rows.y) == 0:
            for weight in network.get_submodule("readout").parameters():
                nn.init.zeros_(weight)
        return network

    def _answer_with(self, network: nn.Module) -> None:
        """Predict with a network from now on."""
        self.network_, self._optimizer = _answering(network), None
        if is_soft(network):
            self.soft_network_ = self.network_

    def _forget(self) -> None:
        for name in ("network_", "soft_network_", "decisions_", "history_", "n_iter_", "_optimizer"):
            self.__dict__.pop(name, None)

    def _soft(self) -> nn.Module:
        check_is_fitted(self, "network_")
        if not hasattr(self, "soft_network_"):
            raise InputError("there is no soft network with gates here; fit the estimator")
        return self.soft_network_

    @property
    def _mixed(self) -> bool:
        return any(isinstance(column, CategoryColumn) for column in self.features_.columns)

    def _inputs(self, X: Any) -> Tensor:
        """Any rows as the network takes them, (rows, features) float64."""
        check_is_fitted(self, "network_")
        table = read_table(self, X, mixed=self._mixed, reset=False)
        return torch.from_numpy(self.scaling_.apply(encode(self.features_, table)))

    def _checked_targets(self, x: Tensor, y: Any) -> Tensor:
        """Targets of these rows as the task without weights takes them. Raises what ``fit`` raises for targets."""
        targets = _check_y(y, y_numeric=self._y_numeric, estimator=self)
        check_consistent_length(x, targets)
        return self._plain_targets(targets)

    def _outputs(self, X: Any) -> Floats:
        """What the network gives, (rows, outputs)."""
        x = self._inputs(X)
        return np.asarray(answered(self.network_, x).numpy())

    @property
    @abstractmethod
    def _y_numeric(self) -> bool:
        """Whether targets are quantities."""

    @abstractmethod
    def _task(self) -> Task:
        """What training lowers, with weights."""

    @abstractmethod
    def _plain_task(self) -> Task:
        """The same without weights."""

    @abstractmethod
    def _plain_targets(self, y: Any) -> Tensor:
        """Targets as the task without weights takes them."""

    @abstractmethod
    def _learn_targets(self, y: Array, classes: Any) -> None:
        """Note what classes there are: ``classes``, or those of the targets."""

    @abstractmethod
    def _learn_scale(self, rows: Rows) -> None:
        """Note the scale of the targets of the distinct rows."""

    @abstractmethod
    def _numbers(self, y: Array) -> Floats:
        """Targets as numbers."""

    @abstractmethod
    def _scaled(self, numbers: Floats) -> Floats:
        """These as the network is to give them."""

    @abstractmethod
    def _weights(self, numbers: Floats, weight: Floats) -> Floats:
        """The rows' weights, those of their classes in them."""


def _check_weight(weight: Floats) -> None:
    if not (weight.min() >= 0 and weight.any() and np.isfinite(weight).all()):
        raise InputError(
            "the weights of the rows, sample_weight times those of their classes, must be at least 0 and not all zero"
        )


def _samples(part: Rows, rows: Rows) -> Samples:
    """Rows as a network takes them, their weights as multiples of the mean weight of all rows. A single row is there
    twice: batch norm has no variance of one."""
    x, y, weight = (torch.from_numpy(values).float() for values in (part.x, part.y, part.weight / rows.weight.mean()))
    times = 2 if len(part) == 1 else 1
    return Samples(x.repeat(times, 1), labels(y, weight).repeat(times, 1))


def _answering(network: nn.Module) -> nn.Module:
    """A copy in 64 bits, in which an answer hardly depends on the rows that are asked for beside."""
    return copy.deepcopy(network).double().eval()


def is_soft(network: nn.Module) -> bool:
    return any(isinstance(module, MultiGatedUnit) for module in network.modules())
