"""A network that somebody else described, run without memory for its numbers, so that it takes none later on."""

import operator
from typing import Any

from torch import Tensor, fx

from mgu.errors import InputError

#: A value of a network has at most so many numbers for the two samples that it is tried on, a tuple so many entries.
MOST_NUMBERS, MOST_ENTRIES = 2**29, 100
#: Whole numbers that are worked out, such as lengths, are smaller.
MOST_COUNT = 2**63


class Trying(fx.Interpreter):
    """Runs a graph step by step, on device "meta". Raises InputError for a step whose value is larger than that of any
    network: to multiply lengths, or tuples, again and again is quickly described."""

    def run_node(self, n: fx.Node) -> Any:
        arguments, _ = self.fetch_args_kwargs_from_env(n)
        if n.target is operator.mul and any(isinstance(argument, tuple) for argument in arguments):
            raise InputError(f"{n.name} repeats a tuple")
        value = super().run_node(n)
        if not _is_small(value):
            raise InputError(f"{n.name} has more numbers than any network's: a value has at most {MOST_NUMBERS:,}")
        return value


def _is_small(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() <= MOST_NUMBERS
    if isinstance(value, tuple):
        return len(value) <= MOST_ENTRIES and all(map(_is_small, value))
    return not isinstance(value, int) or abs(value) < MOST_COUNT
