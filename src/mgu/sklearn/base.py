"""What the two estimators share: their parameters, and what can be asked of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, cast

from sklearn.utils.validation import check_is_fitted
from torch import nn

from mgu.diagnosis import Diagnosis
from mgu.errors import InputError
from mgu.hardening import Hardened
from mgu.sklearn.fitting import Fitting, is_soft
from mgu.torch import explain, harden


class BaseMGU(Fitting):
    """A stack of MultiGatedUnits over linear layers; see ``MGUClassifier`` and ``MGURegressor``."""

    def __init__(
        self,
        *,
        width: int | str = "auto",
        depth: int = 2,
        activation: str | nn.Module = "selu",
        dropout: float = 0.0,
        unit: Mapping[str, Any] | None = None,
        learning_rate: float = 0.003,
        weight_decay: float | str = "auto",
        batch_size: int | str = "auto",
        max_iter: int = 100,
        early_stopping: bool = False,
        validation_fraction: float = 0.15,
        n_iter_no_change: int = 20,
        harden_after: float = 0.1,
        warm_start: bool = False,
        random_state: Any = None,
    ) -> None:
        self.width = width
        self.depth = depth
        self.activation = activation
        self.dropout = dropout
        self.unit = unit
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.harden_after = harden_after
        self.warm_start = warm_start
        self.random_state = random_state

    def explain(self, X: Any, y: Any = None) -> Diagnosis:
        """What each gate does on these rows: of the soft network, as it was when it was hardened.

        With targets ``y`` the diagnosis has the loss with each gate switched to either side; see
        ``mgu.torch.explain``. Raises InputError where there is no soft network and for an unknown class, and what
        scikit-learn raises for targets of another length or with gaps.
        """
        network, x = self._soft(), self._inputs(X)
        return explain(network, [x if y is None else (x, self._checked_targets(x, y))], self._plain_task().loss)

    def harden(self, X: Any, y: Any) -> Hardened[nn.Module]:
        """Decide every gate of the soft network by its loss on these rows; the plain network predicts from here on.
        See ``mgu.torch.harden``.

        ``fit`` does so by itself, early, and trains the plain network on: this is for what ``partial_fit`` or
        ``harden_after=0`` left soft, and for deciding by other rows. Raises as ``explain`` does.
        """
        network, x = self._soft(), self._inputs(X)
        hardened = harden(network, [(x, self._checked_targets(x, y))], self._plain_task().loss)
        self._answer_with(hardened.model)
        self.decisions_ = hardened.decisions
        return hardened

    def save(self, folder: str | Path) -> Path:
        """Write the fitted estimator to a folder, and return it.

        Its files are those of ``mgu.torch.save``, the plain network as weights, data and source, with the parameters
        and what was learned of columns and targets in the card; and ``soft.safetensors``, the network with gates, for
        ``explain``. Not saved is ``history_``. Raises InputError where the network is still soft, and for a parameter
        or class labels that are no JSON data.
        """
        from mgu.sklearn.files import write_estimator

        check_is_fitted(self, "network_")
        if is_soft(self.network_):
            raise InputError("the network still has gates; call harden(X, y) before it is saved")
        return write_estimator(self, folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The estimator that ``save`` wrote to the folder, with the same predictions.

        Nothing in the folder is run. Raises InputError where it holds something else, or files that are missing or
        changed.
        """
        from mgu.sklearn.files import read_estimator

        return cast(Self, read_estimator(cls, cls.__name__, folder))
