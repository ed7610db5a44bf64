"""What a training run tells of its gates: their means after each epoch, and alarms at its end."""

import warnings
from typing import Any

import keras

from mgu.diagnosis import Diagnosis
from mgu.errors import InputError
from mgu.keras.explain import explain, gate_means, units
from mgu.keras.samples import check_arrays, loss_of


class GateWarning(UserWarning):
    """An alarm of the diagnosis at the end of training."""


class GateHistory(keras.callbacks.Callback):
    """Record the mean of each gate after each epoch, and warn of what deserves attention when training ends.

    ``x`` is a sample of inputs, (samples, ...), on which the gates are looked at in evaluation mode; some hundred will
    do. For a network of several inputs it is a list or dict of them.

    ``history`` has, for each epoch, the means by unit and gate, as ``gate_means`` has them; a further ``fit`` goes on
    in it. The means are also in the epoch's logs, as "gates/unit.gate", and so in what ``fit`` returns and in what
    callbacks behind this one write, such as TensorBoard's.

    When training ends, ``diagnosis`` is what ``explain`` says of the sample, and each of its alarms a ``GateWarning``.
    With ``labels`` it has the losses with each gate switched, by the loss that the model was compiled with; the alarm
    that a gate is the same in all units needs them.

    Raises InputError when training begins with a model that has no unit, with an ``x`` that is no array nor a list or
    dict of arrays, such as a data set, and with labels and not one loss.
    """

    def __init__(self, x: Any, labels: Any = None) -> None:
        super().__init__()
        self.x, self.labels = x, labels
        self.history: list[dict[str, dict[str, float]]] = []
        self.diagnosis: Diagnosis | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not units(self.model):
            raise InputError(f"{type(self.model).__name__} has no MultiGatedUnit whose gates have a history")
        check_arrays(self.x)
        if self.labels is not None:
            loss_of(self.model, None)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        means = gate_means(self.model, self.x)
        self.history.append(means)
        if logs is not None:
            logs |= {f"gates/{unit}.{gate}": mean for unit, found in means.items() for gate, mean in found.items()}

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.diagnosis = explain(self.model, [(self.x, self.labels)])
        for alarm in self.diagnosis.alarms():
            warnings.warn(f"{alarm.kind}: {alarm.message}. {alarm.advice}.", GateWarning, stacklevel=2)
