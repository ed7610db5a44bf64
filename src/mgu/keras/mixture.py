"""A unit's values as weighted sums of its operations: gates are multiplied with one another before they meet the data.

Where a gate is the same at every position, what it passes on is a weighted sum of the few operations that lead to it,
and the products of gates are a number a channel: cheap. The data is then read once for each operation, where each gate
would read it three times. The scale and shift of a norm that nobody else reads are numbers a channel too, and join the
weights.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import add
from typing import Any

from keras import layers, ops

from mgu.keras.layers import everywhere
from mgu.keras.norms import BatchNorm, LayerNorm, wide
from mgu.wiring import INPUT, Chain, Gate, mixed, readers

#: The weight of each term of a sum by the term's name, (batch or 1, channels), or the number 1.
Weights = Mapping[str, Any]


class Mixture:
    """One run of a chain on ``x``. ``operate`` runs an operation; ``logits`` are each gate's, (batch or 1, channels),
    by its name; values have the number format ``dtype``. Each is worked out when it is first read."""

    def __init__(
        self,
        chain: Chain,
        x: Any,
        operations: Mapping[str, layers.Layer],
        operate: Callable[..., Any],
        logits: Mapping[str, Any],
        channel_axis: int,
        dtype: str,
        training: bool | None,
    ) -> None:
        self.dtype = dtype
        self.chain, self.nodes = chain, {node.name: node for node in chain}
        self.operations, self.operate, self.channel_axis, self.training = operations, operate, channel_axis, training
        self.open = {name: ops.sigmoid(wide(values)) for name, values in logits.items()}
        self.values = {INPUT: x}

    def value(self, name: str) -> Any:
        """The value of that name: (batch, *positions, channels), or the channels on axis 1."""
        if name not in self.values:
            node, (terms, between) = self.nodes[name], mixed(self.chain, name)
            if any(isinstance(one, Gate) for one in between):
                self.values[name] = self._sum(_weights(terms, between, self.open))
            else:
                self.values[name] = self.operate(node, *(self.value(read) for read in node.inputs))
        return self.values[name]

    def _sum(self, weights: Weights) -> Any:
        """The sum of weight * value, in float32 at least; a norm's scale and shift go into the weights."""
        parts: dict[str, tuple[Any, Any]] = {}
        shifts = []
        for name, weight in weights.items():
            norm = self.operations.get(name)
            if isinstance(norm, BatchNorm | LayerNorm) and not readers(self.chain, name):
                (read,) = self.nodes[name].inputs
                values, scale, shift = norm.affine(self.value(read), self.training)
                shifts.append(weight * shift)
                name, weight = read if isinstance(norm, BatchNorm) else name, weight * scale
            else:
                values = wide(self.value(name))
            parts[name] = values, weight + parts[name][1] if name in parts else weight
        total = _total(self._weighted(*part) for part in parts.values())
        if shifts:
            total = total + everywhere(_total(shifts), len(total.shape), self.channel_axis)
        return ops.cast(total, self.dtype)

    def _weighted(self, values: Any, weight: Any) -> Any:
        if isinstance(weight, int):
            return values
        return values * everywhere(weight, len(values.shape), self.channel_axis)


def _weights(terms: tuple[str, ...], between: Chain, opened: Mapping[str, Any]) -> Weights:
    """The weight of each term in the last of the gates and sums ``between``."""
    known: dict[str, dict[str, Any]] = {term: {term: 1} for term in terms}
    for node in between:
        first, second = (known[read] for read in node.inputs)
        combine = _gated(opened[node.name]) if isinstance(node, Gate) else lambda a, b: a + b
        known[node.name] = {
            term: combine(first.get(term, 0), second.get(term, 0)) for term in terms if term in first or term in second
        }
    return known[between[-1].name]


def _gated(g: Any) -> Callable[[Any, Any], Any]:
    """g a + (1 - g) b; a weight that is the same on both sides stays as it is."""
    return lambda a, b: a if a is b else b + g * (a - b)


def _total(values: Iterable[Any]) -> Any:
    return reduce(add, values)
