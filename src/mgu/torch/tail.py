"""The element-wise tail of a unit as one differentiable function, computed by ``tail.c``."""

import ctypes
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mgu.torch import native
from mgu.torch.one_batch import OneBatch, over_all, summed_up

#: A thread is not worth its start for fewer numbers than these (torch's own grain).
GRAIN = 32768


class Activation(NamedTuple):
    """An activation of ``tail.h``: its function's name, and the two numbers that it reads."""

    name: str
    positive: float = 1.0
    negative: float = 0.0


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

#: The activations that the kernels know, by module.
ACTIVATIONS: Mapping[type, Callable[[Any], Activation | None]] = {
    nn.SELU: lambda module: Activation("elu", _SELU_SCALE, _SELU_SCALE * _SELU_ALPHA),
    nn.ELU: lambda module: Activation("elu", 1.0, module.alpha),
    nn.ReLU: lambda module: Activation("pieces", 1.0, 0.0),
    nn.LeakyReLU: lambda module: Activation("pieces", 1.0, module.negative_slope),
    nn.Identity: lambda module: Activation("pieces", 1.0, 1.0),
    nn.SiLU: lambda module: Activation("silu"),
    nn.Tanh: lambda module: Activation("hyperbolic"),
    nn.GELU: lambda module: Activation("gelu") if module.approximate == "none" else None,
}


class _Arguments(ctypes.Structure):
    """``Tail`` of ``tail.h``."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("rows", "channels", "groups", "threads", "all_rows")),
        *((name, ctypes.c_int64) for name in ("layer_stride", "bypass_stride")),
        *((name, ctypes.c_float) for name in ("positive", "negative", "sharpness")),
        *((name, ctypes.c_double) for name in ("eps1", "eps2", "eps3")),
        *((name, ctypes.c_void_p) for name in ("layer", "bypass", "weights", "logits", "norms")),
        *((name, ctypes.c_void_p) for name in ("row_stats", "channel_stats")),
        *((name, ctypes.c_void_p) for name in ("moments", "partial", "totals", "norm_sums", "output", "grad")),
        *((name, ctypes.c_void_p) for name in ("grad_layer", "grad_bypass", "grad_weights", "grad_norms")),
        *((name, ctypes.c_void_p) for name in ("grad_logits", "row_sums")),
    )


@cache
def library(activation: str, source: str = "tail.c", *definitions: str) -> ctypes.CDLL | OSError:
    """The kernel of a C file for an activation's function, or why there is none."""
    try:
        made = native.load(Path(__file__).with_name(source), [f"ACTIVATE={activation}", *definitions])
    except OSError as error:
        return error
    made.tail_chunks.restype = ctypes.c_int64
    return made


class Kernel(NamedTuple):
    """A compiled kernel with the constants that it is called with."""

    library: ctypes.CDLL
    activation: Activation
    eps: tuple[float, ...]

    def run(self, direction: str, rows_of: Tensor, **fields: Tensor | float) -> None:
        """Call ``tail_forward``, ``tail_backward`` or a half of one with the fields of ``Tail`` by their names; tensors
        by where they begin. ``rows_of`` has the rows and channels that are worked on: (..., channels)."""
        channels = rows_of.shape[-1]
        places = {name: value.data_ptr() if isinstance(value, Tensor) else value for name, value in fields.items()}
        arguments = _Arguments(
            rows=rows_of.numel() // channels,
            channels=channels,
            threads=max(1, min(torch.get_num_threads(), rows_of.numel() // GRAIN)),
            positive=self.activation.positive,
            negative=self.activation.negative,
            **dict(zip(("eps1", "eps2", "eps3"), self.eps, strict=True)),
            **{"groups": 1, "layer_stride": channels, "bypass_stride": channels, **places},
        )
        backward = direction in ("backward", "sums", "gradients")
        sums = 7 if backward else 4
        chunks = self.library.tail_chunks(ctypes.byref(arguments), backward)
        partial = torch.empty(chunks * sums * channels)
        totals = torch.empty(13, channels, dtype=torch.float64)
        arguments.partial, arguments.totals = partial.data_ptr(), totals.data_ptr()
        arguments.norm_sums = totals[7:].data_ptr()
        getattr(self.library, f"tail_{direction}")(ctypes.byref(arguments))

    def forward(self, rows_of: Tensor, moments: Tensor, **fields: Tensor | float) -> int:
        """Work out the output, by the moments of the whole batch where processes share one; the number of its rows."""
        rows = rows_of.shape[:-1].numel()
        if not OneBatch.entered:
            self.run("forward", rows_of, moments=moments, **fields)
            return rows
        self.run("moments", rows_of, moments=moments, **fields)
        mean, var = moments.view(2, 2, -1).unbind(1)
        mean, var, count = over_all(mean, var, rows)
        torch.stack([mean, var], 1, out=moments.view(2, 2, -1))
        self.run("combine", rows_of, moments=moments, **fields)
        return int(count)

    def backward(self, rows_of: Tensor, all_rows: int, grad_norms: Tensor, **fields: Tensor | float) -> None:
        """Work out the gradients of a batch that has so many rows in all processes."""
        if all_rows == rows_of.shape[:-1].numel():
            self.run("backward", rows_of, grad_norms=grad_norms, all_rows=all_rows, **fields)
            return
        self.run("sums", rows_of, grad_norms=grad_norms, **fields)
        summed = summed_up(grad_norms)
        self.run("gradients", rows_of, grad_norms=summed, all_rows=all_rows, **fields)


def tail(
    layer: Tensor, bypass: Tensor, weights: Tensor, norms: Tensor, activation: Activation, eps: tuple[float, ...]
) -> tuple[Tensor, Tensor, int]:
    """y = c1 A(w1 x1 + b1) + c2 (w2 x2 + b2) + c3 (w3 x3 + b3) + c4 z + c5 t, the batch's moments and number of rows.

    L = ``layer`` and t = ``bypass`` are (batch, *positions, channels) and contiguous, z = A(L); x1 is L and x2 is z,
    standardised per channel over all else; x3 is z, standardised over the channels. ``weights`` are c1 to c5, (5, batch
    or 1, channels); ``norms`` w1, b1, w2, b2, w3, b3, (6, channels); ``eps`` is added to the variances of x1, x2, x3.
    All are float32 on the CPU. The moments are L's mean and biased variance and those of z, (4, channels) in float64.

    y can be differentiated once by the first four arguments. Raises OSError where the kernel cannot be compiled.
    """
    if isinstance(made := library(activation.name), OSError):
        raise made
    return _Tail.apply(layer, bypass, weights, norms, Kernel(made, activation, eps))  # type: ignore[no-any-return, no-untyped-call]


class _Tail(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, layer: Tensor, bypass: Tensor, weights: Tensor, norms: Tensor, kernel: Kernel
    ) -> tuple[Tensor, Tensor, int]:
        channels = layer.shape[-1]
        output, moments = torch.empty_like(layer), torch.empty(4, channels, dtype=torch.float64)
        stats = {"row_stats": torch.empty(2, layer.numel() // channels), "channel_stats": torch.empty(4, channels)}
        inputs = {"layer": layer, "bypass": bypass, "weights": weights, "norms": norms}
        ctx.kernel, groups = kernel, weights.shape[1]
        ctx.all_rows = kernel.forward(layer, moments, groups=groups, **inputs, output=output, **stats)
        ctx.save_for_backward(layer, bypass, weights, norms, *stats.values())
        ctx.mark_non_differentiable(moments)
        ctx.set_materialize_grads(False)
        return output, moments, ctx.all_rows

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        layer, bypass, weights, norms, row_stats, channel_stats = ctx.saved_tensors
        inputs = {"layer": layer, "bypass": bypass, "weights": weights, "norms": norms}
        grads = {f"grad_{name}": torch.empty_like(value) for name, value in inputs.items()}
        stats = {"row_stats": row_stats, "channel_stats": channel_stats}
        grad = grad.contiguous()
        groups = weights.shape[1]
        ctx.kernel.backward(layer, ctx.all_rows, groups=groups, **inputs, **grads, **stats, grad=grad)
        return *grads.values(), None
