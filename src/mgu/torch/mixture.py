"""Values of a chain kept as weighted sums: gates are multiplied with one another before they meet the data.

Where a gate is the same at every position, the unit's output is a weighted sum of its few operations, and the products
of gates are a number a channel: cheap. One pass over the data then adds each operation, where a pass or three for each
gate would be needed.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from mgu.torch.norms import BatchNorm, LayerNorm


class Term:
    """A function of other values, worked out when it is first read."""

    def __init__(self, function: Callable[..., Tensor], *inputs: "Mixture") -> None:
        self.function, self.inputs = function, inputs
        self._value: Tensor | None = None

    def value(self) -> Tensor:
        if self._value is None:
            self._value = self.function(*(value.value() for value in self.inputs))
        return self._value

    def added_to(self, total: Tensor | None, weight: Tensor | None) -> Tensor:
        """total + weight * value, in one pass where it can be."""
        if weight is None:
            return self.value() if total is None else total + self.value()
        if self._value is None and isinstance(self.function, BatchNorm | LayerNorm) and weight.shape[0] == 1:
            scaled: Tensor = self.function(*(value.value() for value in self.inputs), scale=weight.flatten())
            return scaled if total is None else total + scaled
        return weight * self.value() if total is None else torch.addcmul(total, weight, self.value())


class Mixture:
    """A weighted sum of terms, by name. A weight is (batch or 1, channels) with axes of length one for the positions;
    None is 1. The sum is worked out when it is first read."""

    def __init__(self, terms: Mapping[str, tuple[Term, Tensor | None]]) -> None:
        self.terms = terms
        self._value: Tensor | None = None

    @classmethod
    def given(cls, name: str, value: Tensor) -> "Mixture":
        """The mixture that is a tensor as it is."""
        term = Term(torch.clone)
        term._value = value
        return cls({name: (term, None)})

    @classmethod
    def of(cls, name: str, function: Callable[..., Tensor], *inputs: "Mixture") -> "Mixture":
        """The mixture of a single term."""
        return cls({name: (Term(function, *inputs), None)})

    def value(self) -> Tensor:
        if self._value is None:
            total: Tensor | None = None
            for term, weight in self.terms.values():
                total = term.added_to(total, weight)
            assert total is not None
            self._value = total
        return self._value

    def plus(self, other: "Mixture") -> "Mixture":
        terms = dict(self.terms)
        for name, (term, weight) in other.terms.items():
            terms[name] = (term, _sum(terms[name][1], weight)) if name in terms else (term, weight)
        return Mixture(terms)

    def times(self, weight: Tensor) -> "Mixture":
        return Mixture(
            {name: (term, weight if own is None else weight * own) for name, (term, own) in self.terms.items()}
        )


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        own = b if a is None else a
        return torch.tensor(2.0) if own is None else 1 + own
    return a + b
