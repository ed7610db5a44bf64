"""The floating-point operations of a training step and of an evaluation pass.

They are counted on a copy that has shapes and no numbers (the meta device), by watching which of torch's operations it
runs. Nothing is calculated, the network is left as it is, and the count is the same whatever it runs on: there is no
compiled kernel, merged convolution or cast on the meta device, so that what a kernel does in one pass is counted as the
arithmetic that torch's own operations need for it.
"""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from mgu.errors import InputError
from mgu.history import Flops
from mgu.torch.flop_table import Call, flops_of

Loss = Callable[[Tensor, Tensor], Tensor]
Run = Callable[[nn.Module, torch.optim.Optimizer | None], None]
#: An optimizer's ways to work on all weights at once, or on a device alone: without numbers it goes weight by weight.
_AT_ONCE = ("foreach", "fused", "capturable")


class FlopCounter(TorchDispatchMode):
    """Counts what torch's operations inside the ``with`` block do by ``mgu.torch.flop_table``; ``unknown`` has the
    names of those that it cannot count. What a compiled kernel does besides is not seen."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.matrix, self.every = 0, 0
        self.unknown: set[str] = set()

    @property
    def flops(self) -> Flops:
        """The count so far. Raises InputError where an operation was unknown."""
        if self.unknown:
            raise InputError(
                f"the operations cannot be counted: nothing is known of {', '.join(sorted(self.unknown))}; "
                "leave them out of the network, or its operations uncounted"
            )
        return Flops(self.matrix, self.every)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        first = result[0] if isinstance(result, tuple | list) and result else result
        found = flops_of(func, Call(args, kwargs, first))
        if found is None:
            self.unknown.add(str(func.overloadpacket))
        else:
            self.matrix += found.matrix
            self.every += found.every
        return result


def step_flops(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    optimizer: torch.optim.Optimizer | None = None,
    loss: Loss = F.cross_entropy,
) -> Flops:
    """The floating-point operations of a training step on the batch x with the targets y: the network in training mode,
    loss(network(x), y), the gradients of all weights that learn, and, where one is given, the optimizer's step.

    ``mgu.torch.flop_table`` says what is counted as how many. x and y are as the network and the loss take them; only
    their shapes matter. The optimizer's step is that of its state: the first may differ from those after it. Network,
    gradients, optimizer and random numbers are left as they are; hooks are called. Raises InputError where an operation
    is not known, and where the step does not run without numbers: a shape that does not fit, or a network whose way
    depends on values.
    """

    def step(network: nn.Module, optimizer: torch.optim.Optimizer | None) -> None:
        loss(network.train()(_shape_of(x)), _shape_of(y)).backward()  # type: ignore[no-untyped-call]
        if optimizer is not None:
            optimizer.step()

    return _counted(step, network, optimizer)


def forward_flops(network: nn.Module, x: Tensor) -> Flops:
    """The floating-point operations of network(x) in evaluation mode, without gradients.

    Counted, left as it is, and raised as for ``step_flops``.
    """

    def forward(network: nn.Module, _: torch.optim.Optimizer | None) -> None:
        with torch.no_grad():
            network.eval()(_shape_of(x))

    return _counted(forward, network, None)


def _counted(run: Run, network: nn.Module, optimizer: torch.optim.Optimizer | None) -> Flops:
    counter = FlopCounter()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            twins = _without_numbers(network, optimizer)
            with counter:
                run(*twins)
    except Exception as error:
        raise InputError(f"the operations cannot be counted, without numbers: {error}") from error
    return counter.flops


def _without_numbers(
    network: nn.Module, optimizer: torch.optim.Optimizer | None
) -> tuple[nn.Module, torch.optim.Optimizer | None]:
    """Both once more, the copied optimizer over the copied weights."""
    memo = {id(value): _shape_of(value) for value in _tensors(network, optimizer)}
    twin, twin_optimizer = copy.deepcopy((network, optimizer), memo)
    for group in twin_optimizer.param_groups if twin_optimizer else ():
        group.update({way: False for way in _AT_ONCE if way in group})
    return twin, twin_optimizer


def _tensors(network: nn.Module, optimizer: torch.optim.Optimizer | None) -> Iterable[Tensor]:
    """All weights, and of the rest what is more than a single number: counters are read."""
    yield from network.parameters()
    rest: list[Any] = [*network.buffers()]
    if optimizer is not None:
        yield from (weight for group in optimizer.param_groups for weight in group["params"])
        rest += [value for state in optimizer.state.values() for value in state.values()]
    yield from (value for value in rest if isinstance(value, Tensor) and value.ndim)


def _shape_of(value: Tensor) -> Tensor:
    """A tensor of its shape and number format, without numbers."""
    shape = torch.empty_like(value, device="meta", requires_grad=False)
    return nn.Parameter(shape, value.requires_grad) if isinstance(value, nn.Parameter) else shape
