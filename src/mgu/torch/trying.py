"""A network that somebody else described, run without memory for its numbers, so that it takes none later on."""

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mgu.errors import InputError

#: A value of a network has at most so many numbers, and all that it holds at once.
MOST_NUMBERS, MOST_HELD = 2**29, 2**30
#: A tuple has at most so many entries.
MOST_ENTRIES = 100
#: Whole numbers that are worked out, such as lengths, are smaller.
MOST_COUNT = 2**63
#: A length that is read of an input has at most so many bits, and what is worked out of lengths, whatever they are.
LENGTH_BITS, MOST_BITS = 40, 1000


def tried(network: nn.Module, x: Tensor) -> Tensor:
    """What a network gives for x, both on device "meta". Raises InputError where that is no tensor, and for a value on
    the way to it that is larger than that of any network; whatever torch raises for what does not fit."""
    with torch.no_grad():
        if isinstance(network, fx.GraphModule):
            answer = Trying(network).run(x)
        else:
            with Watching():
                answer = network(x)
    if not isinstance(answer, Tensor):
        raise InputError(f"it gives a {type(answer).__name__}; one tensor is needed")
    return answer


class Watching(TorchDispatchMode):
    """Raises InputError where an operation inside the ``with`` block gives a tensor larger than that of any network."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, Tensor):
                check_count(value.numel())
        return result


def check_count(numbers: int) -> None:
    """Raise InputError for more numbers than any network's value has."""
    if numbers > MOST_NUMBERS:
        raise InputError(f"a value has {numbers:,} numbers, more than any network's: at most {MOST_NUMBERS:,}")


class Trying(fx.Interpreter):
    """Runs a graph step by step, on device "meta". Raises InputError for a step whose value is larger than that of any
    network: to multiply lengths, or tuples, again and again is quickly described. That of lengths is found whatever the
    input's are, though a number of samples may be chosen that makes one of them 0."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self._bits: dict[fx.Node, int] = {}
        self._held = 0

    def run_node(self, n: fx.Node) -> Any:
        arguments, _ = self.fetch_args_kwargs_from_env(n)
        if n.target is operator.mul and any(isinstance(argument, tuple) for argument in arguments):
            raise InputError(f"{n.name} repeats a tuple")
        value = super().run_node(n)
        if not isinstance(value, Tensor):
            self._bits[n] = self._most_bits(n)
        if not _is_small(value) or self._bits.get(n, 0) > MOST_BITS:
            raise InputError(f"{n.name} has more numbers than any network's: a value has at most {MOST_NUMBERS:,}")
        if n.op != "output":
            self._hold(n, value)
        return value

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        if getattr(self.fetch_attr(target), "padding_mode", "zeros") == "zeros":
            return super().call_module(target, args, kwargs)
        with Watching():  # it pads in a step of its own
            return super().call_module(target, args, kwargs)

    def _most_bits(self, n: fx.Node) -> int:
        """How many bits the whole numbers that a step gives have at most, whatever the input's lengths are."""
        if n.op != "call_function":
            return LENGTH_BITS
        given = [self._bits_of(argument) for argument in n.args]
        return sum(given) if n.target is operator.mul else 1 + max(given)

    def _bits_of(self, argument: Any) -> int:
        if isinstance(argument, fx.Node):
            return self._bits.get(argument, 0)
        if isinstance(argument, tuple | list):
            return max(map(self._bits_of, argument), default=0)
        return argument.bit_length() if isinstance(argument, int) else 0

    def _hold(self, n: fx.Node, value: Any) -> None:
        """Count the numbers that are held at once; what no later step reads is let go."""
        self._held += _numbers(value)
        if self._held > MOST_HELD:
            raise InputError(f"at {n.name} it holds more numbers than any network: at most {MOST_HELD:,} at once")
        self._held -= sum(_numbers(self.env[read]) for read in self.user_to_last_uses.get(n, ()))


def _numbers(value: Any) -> int:
    return value.numel() if isinstance(value, Tensor) else 0


def _is_small(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() <= MOST_NUMBERS
    if isinstance(value, tuple):
        return len(value) <= MOST_ENTRIES and all(map(_is_small, value))
    return not isinstance(value, int) or abs(value) < MOST_COUNT
