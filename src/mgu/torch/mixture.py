"""A unit's values as weighted sums of its operations: gates are multiplied with one another before they meet the data.

Where a gate is the same at every position, what it passes on is a weighted sum of the few operations that lead to it,
and the products of gates are a number a channel: cheap. One pass over the data then adds each operation, where a pass
or three for each gate would be needed; the compiled kernel adds up most of them at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from mgu.torch.fused import PARTS, Parts, fused, hooked, parts
from mgu.torch.gates import everywhere, gate_values
from mgu.torch.norms import BatchNorm, LayerNorm
from mgu.torch.one_batch import OneBatch
from mgu.wiring import Chain, Gate, Node, mixed, mixes, readers


@dataclass(frozen=True)
class Blend:
    """How a value is mixed: the terms, those of them that no operation reads, the gates and sums ``between``, and what
    of it is the kernel's, if anything."""

    terms: tuple[str, ...]
    unread: frozenset[str]
    between: Chain
    parts: Parts | None

    @classmethod
    def of(cls, chain: Chain, name: str) -> Self:
        terms, between = mixed(chain, name)
        unread = frozenset(term for term in terms if not readers(chain, term))
        return cls(terms, unread, between, parts(chain, terms))

    @property
    def gates(self) -> tuple[str, ...]:
        return tuple(node.name for node in self.between if isinstance(node, Gate))


def blends(chain: Chain) -> dict[str, Blend]:
    """The blend of each value of the chain that gates lead to, by name."""
    found = {node.name: Blend.of(chain, node.name) for node in chain if mixes(node)}
    return {name: blend for name, blend in found.items() if blend.gates}


class Mixture:
    """One run of a chain, whose blends are given. ``known`` are the input and further values by name, ``logits`` each
    gate's, (batch or 1, channels), by its name, and ``stretch`` the gates'; each value is worked out when it is first
    read."""

    def __init__(
        self,
        chain: Chain,
        blends: Mapping[str, Blend],
        operations: nn.ModuleDict,
        channel_axis: int,
        known: Mapping[str, Tensor],
        logits: Mapping[str, Tensor],
        stretch: float = 1.0,
    ) -> None:
        self.blends, self.operations, self.channel_axis = blends, operations, channel_axis
        self.nodes: Mapping[str, Node] = {node.name: node for node in chain}
        self.logits, self.stretch = logits, stretch
        self.values = dict(known)

    def value(self, name: str) -> Tensor:
        """The value of that name: (batch, channels, *positions), or the channels last."""
        if name not in self.values:
            self.values[name] = self._blended(self.blends[name]) if name in self.blends else self._operated(name)
        return self.values[name]

    def _operated(self, name: str) -> Tensor:
        return self.operations[name](*(self.value(read) for read in self.nodes[name].inputs))  # type: ignore[no-any-return]

    def _blended(self, blend: Blend) -> Tensor:
        rows = blend.parts.rows if blend.parts else blend.terms
        weights = self._weights(rows, blend)
        total = fused(blend.parts, self.operations, self.value, weights) if blend.parts else None
        done = len(PARTS) if total is not None else 0
        for term, weight in zip(rows[done:], weights[done:], strict=True):
            if term:
                total = self._added(total, term, weight, term in blend.unread)
        assert total is not None
        return total

    def _weights(self, rows: tuple[str, ...], blend: Blend) -> Tensor:
        """The weight of each row's term: (rows, batch or 1, channels). A row without a term has 0."""
        opened = gate_values(torch.stack([self.logits[gate] for gate in blend.gates]), self.stretch)
        of_gate = dict(zip(blend.gates, opened.unbind(), strict=True))
        own = torch.eye(len(rows), dtype=opened.dtype, device=opened.device)[..., None, None].unbind(1)
        known = dict(zip(rows, own, strict=True))
        for node in blend.between:
            a, b = (known[read] for read in node.inputs)
            known[node.name] = torch.lerp(b, a, of_gate[node.name]) if isinstance(node, Gate) else a + b
        return known[blend.between[-1].name]

    def _added(self, total: Tensor | None, term: str, weight: Tensor, unread: bool) -> Tensor:
        """total + weight * value, in one pass where it can be: of a norm that nobody else reads or listens to.

        Not where processes share a batch: with a weight a sample, one with a single sample would go another way."""
        operation = self.operations[term] if unread and term in self.operations and not OneBatch.entered else None
        if isinstance(operation, BatchNorm | LayerNorm) and len(weight) == 1 and not hooked(operation):
            (read,) = self.nodes[term].inputs
            scaled: Tensor = operation(self.value(read), scale=weight.flatten())
            return scaled if total is None else total + scaled
        value = self.value(term)
        factor = everywhere(weight, value.ndim, self.channel_axis)
        return factor * value if total is None else torch.addcmul(total, factor, value)
