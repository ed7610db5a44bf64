"""Where gates that differ by position mix the values of a unit in the compiled kernel, in two passes over the data.

The kernel (``gated.c``) is used where that of ``mgu.torch.fused`` would be, for replica gates that were run together
with the layer, where all that they mix is what the kernel knows. It reads the layer's output and the logits where they
lie.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.autograd.function import once_differentiable

from mgu.torch.fused import (
    PARTS,
    Norm,
    Parts,
    epsilons,
    norms_of,
    plain_run,
    readable,
    track,
    usable,
    weights_and_biases,
)
from mgu.torch.one_batch import OneBatch
from mgu.torch.tail import Kernel, library
from mgu.wiring import Chain, Gate

SOURCE = "gated.c"


def gated(
    found: Parts,
    between: Chain,
    operations: nn.ModuleDict,
    value: Callable[[str], Tensor],
    merged: Tensor,
    slices: Sequence[str],
    gates: tuple[str, ...],
    sharpness: float,
) -> Tensor | None:
    """The value that the gates and sums ``between`` give, None where the kernel cannot be used; batch norms' running
    statistics move.

    ``merged`` is (batch, *positions, slices * channels): the layer, and where it is among them the bypass, by their
    names in ``slices``, and behind them the logits of all ``gates``. ``value`` gives another value of the chain by
    name, with the channels on the norms' axis, as in the result.
    """
    if len(found.rows) > len(PARTS) or not all(found.rows) or found.layer not in slices or not plain_run():
        return None
    activation, norms = usable(found, operations), norms_of(found, operations)
    if activation is None:
        return None
    axis, channels = norms[0].channel_axis, merged.shape[-1] // (len(slices) + len(gates))
    made = library(activation.name, SOURCE, *_mixing(found.rows, between, gates))
    bypass = None if found.bypass in slices else value(found.bypass).movedim(axis, -1)
    if isinstance(made, OSError) or not _fit(merged, bypass, channels, [*norms.values()]):
        return None
    places = slices.index(found.layer), slices.index(found.bypass) if bypass is None else None, len(slices)
    output, moments, all_rows = _Gated.apply(
        merged.contiguous(),
        None if bypass is None else bypass.contiguous(),
        weights_and_biases(norms, merged.new_zeros(channels)),
        Kernel(made, activation, epsilons(norms)),
        places,
        sharpness,
    )  # type: ignore[no-untyped-call]
    track(norms, moments, all_rows)
    return output.movedim(-1, axis)  # type: ignore[no-any-return]


@cache
def _mixing(terms: tuple[str, ...], between: Chain, gates: tuple[str, ...]) -> tuple[str, ...]:
    """How the gates mix the terms, and gradients lead back through them, as the C code that ``gated.c`` leaves open."""
    at = {name: i for i, name in enumerate([*terms, *(node.name for node in between)])}
    last = len(at) - 1
    zeros = [*(f"d{i} = 0" for i in range(last)), *(f"e{k} = 0" for k in range(len(gates)))]
    mix, unmix = [], []
    for node in between:
        y, (a, b) = at[node.name], (at[name] for name in node.inputs)
        if isinstance(node, Gate):
            k = gates.index(node.name)
            mix.append(f"float v{y} = v{b} + g{k} * (v{a} - v{b});")
            unmix.append(f"d{a} += g{k} * d{y}; d{b} += (1 - g{k}) * d{y}; ")
            unmix[-1] += f"e{k} = d{y} * (v{a} - v{b}) * g{k} * (1 - g{k});"
        else:
            mix.append(f"float v{y} = v{a} + v{b};")
            unmix.append(f"d{a} += d{y}; d{b} += d{y};")
    return (
        "OPEN=" + " ".join(f"float g{k} = OPENED({k});" for k in range(len(gates))),
        "MIX=" + " ".join(mix),
        f"MIXED=v{last}",
        "UNMIX=" + " ".join([f"float d{last} = gradient, {', '.join(zeros)};", *reversed(unmix)]),
        "KEEP=" + " ".join(f"KEPT({k}, e{k})" for k in range(len(gates))),
    )


def _fit(merged: Tensor, bypass: Tensor | None, channels: int, norms: Sequence[Norm]) -> bool:
    """Whether the tensors are such as the kernel reads; a single value a channel has no variance."""
    values = [merged] if bypass is None else [merged, bypass]
    weights = [value for norm in norms for value in (norm.weight, norm.bias)]
    return (
        forward_ad.unpack_dual(merged).tangent is None  # type: ignore[no-untyped-call]
        and all(readable(value) for value in (*values, *weights))
        and all(value.shape == (channels,) for value in weights)
        and len({norm.channel_axis for norm in norms}) == 1
        and (OneBatch.entered or merged.shape[:-1].numel() > 1)
        and (bypass is None or bypass.shape == (*merged.shape[:-1], channels))
    )


class _Gated(torch.autograd.Function):
    """y = mix(u, BN(z), LN(z), z, t; sigmoid(sharpness logits)), moments and number of rows, as in ``mgu.torch.tail``.

    ``places`` are those of the layer, of the bypass and of the first gate's logits among the slices of ``merged``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        merged: Tensor,
        bypass: Tensor | None,
        norms: Tensor,
        kernel: Kernel,
        places: tuple[int, int | None, int],
        sharpness: float,
    ) -> tuple[Tensor, Tensor, int]:
        channels, rows = norms.shape[-1], merged.shape[:-1].numel()
        output, moments = merged.new_empty(*merged.shape[:-1], channels), torch.empty(4, channels, dtype=torch.float64)
        stats = {"row_stats": torch.empty(2, rows), "channel_stats": torch.empty(4, channels)}
        ctx.kernel, ctx.places, ctx.sharpness = kernel, places, sharpness
        ctx.save_for_backward(merged, bypass, norms, *stats.values())
        ctx.mark_non_differentiable(moments)
        ctx.set_materialize_grads(False)
        inputs = _slices(merged, bypass, channels, places)
        ctx.all_rows = kernel.forward(output, moments, **inputs, **_strides(inputs), sharpness=sharpness, norms=norms,
                                      output=output, **stats)  # fmt: skip
        return output, moments, ctx.all_rows

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        merged, bypass, norms, row_stats, channel_stats = ctx.saved_tensors
        channels, grad = norms.shape[-1], grad.contiguous()
        of_merged, of_norms = torch.empty_like(merged), torch.empty_like(norms)
        of_bypass = None if bypass is None else torch.empty_like(bypass)
        inputs = _slices(merged, bypass, channels, ctx.places)
        grads = {f"grad_{name}": value for name, value in _slices(of_merged, of_bypass, channels, ctx.places).items()}
        stats = {"row_stats": row_stats, "channel_stats": channel_stats, "row_sums": torch.empty_like(row_stats)}
        ctx.kernel.backward(grad, ctx.all_rows, **inputs, **_strides(inputs), sharpness=ctx.sharpness, norms=norms,
                            grad=grad, grad_norms=of_norms, **grads, **stats)  # fmt: skip
        return of_merged, of_bypass, of_norms, None, None, None


def _slices(
    merged: Tensor, bypass: Tensor | None, channels: int, places: tuple[int, int | None, int]
) -> dict[str, Tensor]:
    """The layer, the bypass and the logits, each from its first channel on."""
    layer, within, logits = places
    return {
        "layer": merged[..., layer * channels :],
        "bypass": merged[..., within * channels :] if within is not None else bypass,  # type: ignore[dict-item]
        "logits": merged[..., logits * channels :],
    }


def _strides(inputs: dict[str, Tensor]) -> dict[str, int]:
    """From one row to the next, in numbers."""
    return {f"{name}_stride": inputs[name].stride(-2) for name in ("layer", "bypass")}
