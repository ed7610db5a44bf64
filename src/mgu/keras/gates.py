"""Gates: from a unit's input to numbers between 0 and 1 that mix two values, in four kinds of cost.

A gate kind is a layer that computes the logits of several gates at once. Each returns one tensor a gate: of the
output's full shape, or (batch, channels) where the gate is the same at every position. Its ``biases`` are what of the
logits does not depend on the input, one tensor a gate.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import initializers, layers, ops

from mgu.errors import InputError
from mgu.keras.layers import PACKAGE, Shape, Wrapped, channel_axis_of, everywhere, pooled, replica
from mgu.keras.windows import Window


class ReplicaGates(layers.Layer):
    """The paper's gates: logits_k = replica_k(x), a layer like the wrapped one for each gate (equations 1 to 18).

    Gates differ by sample, channel and position. The prior is the replicas' bias; layers without one get an ``offset``
    of (gates, channels) beside them.
    """

    def __init__(self, wrapped: Wrapped, priors: Sequence[float]) -> None:
        super().__init__(dtype=wrapped.dtype)
        self.channel_axis, self.priors, self.channels = wrapped.channel_axis, tuple(priors), wrapped.out_channels
        self.biased = bool(getattr(wrapped.layer, "use_bias", False))
        self.replicas = [self._replica(wrapped, prior) for prior in priors]

    def _replica(self, wrapped: Wrapped, prior: float) -> layers.Layer:
        settings = {"bias_initializer": initializers.Constant(prior)} if self.biased else {}
        return replica(wrapped.layer, **settings)

    def build(self, input_shape: Shape) -> None:
        for i, layer in enumerate(self.replicas):
            with keras.name_scope(str(i)):
                layer.build(input_shape)
        self.offset = None if self.biased else _priors(self, "offset", self.priors, (len(self.priors), self.channels))

    def call(self, x: Any, training: bool | None = None) -> tuple[Any, ...]:
        logits = [ops.cast(layer(x, training=training), self.compute_dtype) for layer in self.replicas]
        if self.offset is None:
            return tuple(logits)
        offsets = [everywhere(self.offset[i : i + 1], len(x.shape), self.channel_axis) for i in range(len(logits))]
        return tuple(value + offset for value, offset in zip(logits, offsets, strict=True))

    def biases(self) -> tuple[Any, ...]:
        if self.offset is None:
            return tuple(layer.bias for layer in self.replicas)
        return tuple(ops.unstack(ops.convert_to_tensor(self.offset), len(self.replicas)))


class DepthwiseGates(layers.Layer):
    """Depth-wise gates: channel o of a gate sees input channel floor(o * in / out) through a window like the layer's.

    Gates differ by sample, channel and position and cost kernel positions x out weights each: ``kernel`` is (*size,
    gates * out), ``bias`` (gates * out,). A dense layer's window is one weight a feature. They start at the prior
    exactly (zero weights). Source: paper, section 7.3.
    """

    def __init__(self, wrapped: Wrapped, priors: Sequence[float]) -> None:
        super().__init__(dtype=wrapped.dtype)
        if not wrapped.convolves and not isinstance(wrapped.layer, layers.Dense):
            raise InputError(
                f"depthwise gates need a Dense or Conv layer, not {type(wrapped.layer).__name__}; "
                "choose squeeze, channel or replica"
            )
        self.size = tuple(wrapped.layer.kernel_size) if wrapped.convolves else ()
        self._window = partial(Window.of, wrapped.layer)  # not the layer itself, whose weights are not the gates'
        if wrapped.convolves:
            self._window(wrapped.positions)
        self.channel_axis, self.priors, self.channels = wrapped.channel_axis, tuple(priors), wrapped.out_channels
        self.source = np.tile(np.arange(self.channels) * wrapped.in_channels // self.channels, len(priors))

    def build(self, input_shape: Shape) -> None:
        count = len(self.source)
        self.kernel = self.add_weight(shape=(*self.size, count), initializer="zeros", name="kernel")
        self.bias = _priors(self, "bias", self.priors, (count,))

    def call(self, x: Any) -> tuple[Any, ...]:
        last = x if self.channel_axis == -1 else ops.moveaxis(x, 1, -1)
        seen = ops.take(last, self.source, axis=-1)
        values = self._window(last.shape[1:-1]).apply(seen, self.kernel) if self.size else seen * self.kernel
        logits = ops.split(values + self.bias, len(self.priors), axis=-1)
        return tuple(logits if self.channel_axis == -1 else [ops.moveaxis(value, -1, 1) for value in logits])

    def biases(self) -> tuple[Any, ...]:
        return tuple(ops.split(self.bias, len(self.priors)))


class SqueezeGates(layers.Layer):
    """Squeeze gates: logits = W2 relu(W1 mean_positions(x)) + b, one low-dimensional embedding for all gates of a unit.

    Gates differ by sample and channel and are the same at every position; they start at the prior exactly (W2 = 0).
    The embedding has max(8, out / 8) dimensions. Source: paper, section 7.3; Hu et al. 2019, equations 2 and 3.
    """

    def __init__(self, wrapped: Wrapped, priors: Sequence[float]) -> None:
        super().__init__(dtype=wrapped.dtype)
        self.count, self.channel_axis, channels = len(priors), wrapped.channel_axis, wrapped.out_channels
        start = initializers.Constant(np.repeat(priors, channels))
        self.squeeze = layers.Dense(max(8, channels // 8), "relu", dtype=wrapped.dtype, name="squeeze")
        self.excite = layers.Dense(
            self.count * channels, None, True, "zeros", start, dtype=wrapped.dtype, name="excite"
        )

    def build(self, input_shape: Shape) -> None:
        self.squeeze.build((None, input_shape[self.channel_axis]))
        self.excite.build((None, self.squeeze.units))

    def call(self, x: Any) -> tuple[Any, ...]:
        logits = self.excite(self.squeeze(pooled(x, self.channel_axis)))
        return tuple(ops.split(logits, self.count, axis=-1))

    def biases(self) -> tuple[Any, ...]:
        return tuple(ops.split(self.excite.bias, self.count))


class ChannelGates(layers.Layer):
    """Channel gates: one learned logit a channel and gate, whatever the input; (gates, 1, channels). The cheapest."""

    def __init__(self, wrapped: Wrapped, priors: Sequence[float]) -> None:
        super().__init__(dtype=wrapped.dtype)
        self.priors, self.channels = tuple(priors), wrapped.out_channels

    def build(self, input_shape: Shape) -> None:
        self.logits = _priors(self, "logits", self.priors, (len(self.priors), 1, self.channels))

    def call(self, x: Any) -> tuple[Any, ...]:
        return tuple(ops.unstack(ops.convert_to_tensor(self.logits), len(self.priors)))

    def biases(self) -> tuple[Any, ...]:
        return self.call(None)


#: The gate kinds by name.
GATES: Mapping[str, Callable[[Wrapped, Sequence[float]], layers.Layer]] = {
    "replica": ReplicaGates,
    "depthwise": DepthwiseGates,
    "squeeze": SqueezeGates,
    "channel": ChannelGates,
}


def check_gates(kind: str) -> None:
    """Raise InputError for an unknown kind of gates."""
    if kind not in GATES:
        raise InputError(f"unknown gates {kind!r}; allowed: {', '.join(GATES)}")


def make_gates(kind: str, wrapped: Wrapped, priors: Sequence[float]) -> layers.Layer:
    """Gates of a kind, one for each prior (a logit), with their weights."""
    made = GATES[kind](wrapped, priors)
    with keras.name_scope("gates"):
        made.build(wrapped.input_shape)
    return made


def mix(logits: Any, channel_axis: int, opened: Any, closed: Any) -> Any:
    """g * opened + (1 - g) * closed with g = sigmoid(logits); logits of (batch, channels) hold at every position."""
    gate = ops.sigmoid(logits)
    if len(gate.shape) < len(opened.shape):
        gate = everywhere(gate, len(opened.shape), channel_axis)
    return closed + gate * (opened - closed)


@keras.saving.register_keras_serializable(package=PACKAGE)
class GatingUnit(layers.Layer):
    """One gate on its own: g(x) * opened + (1 - g(x)) * closed, g = sigmoid of the gate kind's logits of x.

    ``layer`` gives the shape of the gate: x is what the layer takes, ``opened`` and ``closed`` have the shape of what
    it gives, (batch, *positions, channels), or (batch, channels, *positions) where it has its channels first. ``gates``
    is one of replica, depthwise, squeeze, channel; ``prior`` the logit at which the gate starts. The layer itself is
    not part of the unit: it gets no weights from it, and only its settings are saved.

    Raises InputError for an unknown kind, for what is no layer, and when it is built for a shape of x that the layer
    does not take.

    Source: paper, section 4.2, GatingUnit.
    """

    def __init__(
        self,
        layer: layers.Layer,
        gates: str = "squeeze",
        *,
        prior: float = 0.0,
        channel_axis: int | None = None,
        **options: Any,
    ) -> None:
        check_gates(gates)
        axis = channel_axis_of(layer, channel_axis)
        super().__init__(**{"dtype": layer.dtype_policy, **options})
        self.layer_config = keras.saving.serialize_keras_object(layer)
        self.kind, self.prior, self.channel_axis = gates, float(prior), axis

    def build(self, x_shape: Shape, opened_shape: Shape, closed_shape: Shape) -> None:
        layer = keras.saving.deserialize_keras_object(self.layer_config)
        wrapped = Wrapped.of(layer, x_shape, self.channel_axis, self.dtype_policy)
        self.gates = make_gates(self.kind, wrapped, [self.prior])

    def call(self, x: Any, opened: Any, closed: Any, training: bool | None = None) -> Any:
        (logits,) = self.gates(x, training=training)
        return mix(logits, self.channel_axis, opened, closed)

    def compute_output_shape(self, x_shape: Shape, opened_shape: Shape, closed_shape: Shape) -> Shape:
        return tuple(opened_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "layer": self.layer_config,
            "gates": self.kind,
            "prior": self.prior,
            "channel_axis": self.channel_axis,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "GatingUnit":
        layer = keras.saving.deserialize_keras_object(config.pop("layer"))
        return cls(layer, **config)


def _priors(layer: layers.Layer, name: str, priors: Sequence[float], shape: tuple[int, ...]) -> Any:
    """A weight of a gate layer that has each prior once a channel."""
    values = np.repeat(priors, np.prod(shape) // len(priors)).reshape(shape)
    return layer.add_weight(shape=shape, initializer=initializers.Constant(values), name=name)
