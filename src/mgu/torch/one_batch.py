"""Several processes' shares of a batch, taken for the one batch that they are.

What a network works out sample by sample is the same for a share. Batch norm and dropout are not: while ``OneBatch`` is
entered, they are those of the whole batch, in units and in plain networks, and in the compiled kernels too.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True)
class Share:
    """This process's samples of a batch of ``whole`` samples: from ``begin`` to before ``end``."""

    begin: int
    end: int
    whole: int

    @classmethod
    def of(cls, whole: int, rank: int, count: int) -> "Share":
        """That of one of ``count`` processes; the shares differ by one sample at most."""
        return cls(whole * rank // count, whole * (rank + 1) // count, whole)

    @property
    def rows(self) -> slice:
        return slice(self.begin, self.end)

    def __len__(self) -> int:
        return self.end - self.begin


class OneBatch(TorchFunctionMode):
    """While it is entered, ``F.batch_norm`` and ``F.dropout`` in training are those of a batch of which each process of
    the default group runs a share, this one ``share``.

    Batch norm has the mean and variance of the whole batch, by one sum over the processes forward and one backward; the
    processes must therefore run the same network. Dropout draws the mask of the whole batch, as one process would, and
    takes the share's rows: with the same random state in all, the masks are those of one process.
    """

    #: Whether one is entered.
    entered: ClassVar[bool] = False

    def __init__(self, share: Share) -> None:
        super().__init__()
        self.stand_ins: Mapping[object, Callable[..., Tensor]] = {
            F.batch_norm: batch_norm,
            F.dropout: lambda *args, **kwargs: dropout(share, *args, **kwargs),
        }

    def __enter__(self) -> "OneBatch":
        super().__enter__()  # type: ignore[no-untyped-call]
        OneBatch.entered = True
        return self

    def __exit__(self, *error: object) -> None:
        OneBatch.entered = False
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        called: Callable[..., Any] = self.stand_ins.get(func, func)
        return called(*args, **(kwargs or {}))


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As ``F.batch_norm``, in training with mean and variance over the x of all processes of the default group:

        y = (x - mean) / sqrt(var + eps) * weight + bias

    x is (batch, channels, *positions), the others (channels,). Gradients of x are those of the sum of all processes'
    losses; those of weight and bias are of this process's share, as for any weight. The running statistics move as if
    one process had the whole batch, in all processes alike.
    """
    if not training:
        return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    output, mean, var, count = _BatchNorm.apply(x, weight, bias, eps)  # type: ignore[no-untyped-call]
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        running_var.lerp_((var * (count / (count - 1))).to(running_var.dtype), momentum)
    return output  # type: ignore[no-any-return]


def dropout(share: Share, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """As ``F.dropout``, in training with the share's rows of a mask for the whole batch. x is (samples, ...)."""
    if not training:
        return F.dropout(x, p, False, inplace)
    # Masks are drawn in the order in which a value lies in memory, which may have its channels last.
    order = [0, *sorted(range(1, x.ndim), key=x.stride, reverse=True)]
    places = [order.index(axis) for axis in range(x.ndim)]
    whole = x.new_ones(share.whole, *(x.shape[axis] for axis in order[1:])).permute(places)
    return x * F.dropout(whole, p)[share.rows]


def moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance of each channel over the x of all processes, (channels,) in float64, and of how many
    values; x is (batch, channels, *positions). By one sum over the processes."""
    mean, var = torch.batch_norm_update_stats(_wide(x), None, None, 0.0)
    return over_all(mean, var, x.numel() // x.shape[1])


def over_all(mean: Tensor, var: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance over all processes' values, in float64, and of how many: from those of this process's,
    ``mean`` and ``var`` of one shape, over ``count`` values each. By one sum over the processes."""
    own_mean, own_var = mean.double(), var.double()
    own = torch.stack([own_mean, own_var + own_mean.square(), torch.ones_like(own_mean)]) * count
    dist.all_reduce(own)
    total = own[2].flatten()[0]
    over, squares = own[:2] / total
    return over, squares - over.square(), total


def summed_up(own: Tensor) -> Tensor:
    """A tensor's sum over the processes."""
    total = own.clone()
    dist.all_reduce(total)
    return total


def pooled(mean: Tensor, var: Tensor, count: int) -> tuple[Tensor, Tensor, int]:
    """Mean and biased variance of each channel, (1, channels), over all processes' samples, and of how many values.

    ``mean`` and ``var``, (samples, channels), are those of this process's samples, ``count`` values a channel in all.
    """
    squares = (var + mean.square()).double().sum(0)
    own = torch.cat([mean.double().sum(0), squares, squares.new_tensor([len(mean), count])])
    *sums, samples, values = _Sum.apply(own).split([len(squares), len(squares), 1, 1])  # type: ignore[no-untyped-call]
    over_all, of_squares = (each[None] / samples for each in sums)
    return over_all.to(mean.dtype), (of_squares - over_all.square()).to(var.dtype), int(values)


class _Sum(torch.autograd.Function):
    """A tensor's sum over the processes; gradients are summed up as well."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        return summed_up(own)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return summed_up(grad)


class _BatchNorm(torch.autograd.Function):
    """Forward and backward by torch's own norm with given statistics, which are one pass each; what the statistics give
    backward is a norm too, of the same x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, ...]:
        mean, var, count = moments(x)
        given = mean.to(_wide(x).dtype), var.to(_wide(x).dtype)
        ctx.save_for_backward(x, weight, *given, count)
        ctx.eps = eps
        output = F.batch_norm(x, *given, weight, bias, False, 0.0, eps)
        ctx.mark_non_differentiable(mean, var, count)
        return output, mean, var, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        """dx = w r (g - sum(g) / n - x^ sum(g x^) / n), r = 1 / sqrt(var + eps), x^ = (x - mean) r; sums and n over
        all processes."""
        x, weight, mean, var, count = ctx.saved_tensors
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            grad,
            x,
            torch.ones_like(mean) if weight is None else weight,
            mean,
            var,
            None,
            None,
            False,
            ctx.eps,
            [True] * 3,
        )
        sums = summed_up(torch.stack([of_weight, of_bias]).double())
        scale = torch.rsqrt(var + ctx.eps) if weight is None else torch.rsqrt(var + ctx.eps) * weight
        by_stats = (sums * (-scale / count)).to(mean.dtype)
        of_x += F.batch_norm(x, mean, var, by_stats[0], by_stats[1], False, 0.0, ctx.eps)
        return of_x, None if weight is None else of_weight, of_bias if ctx.needs_input_grad[2] else None, None


def _wide(x: Tensor) -> Tensor:
    """With as many bits as statistics need."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()
