"""How close the element-wise tail of the unit, all of it but the layers, comes to the machine's bandwidth.

With n numbers in the layer's output L, as many in the bypass t, in the output y and in each gradient, what must move:

- Channel gates, forward, 4 n: batch norm's moments need all of L before any y, so L is read twice; t is read and y
  written.
- Channel gates, backward, 7 n: the norms' sums need all of L and dy before any dL, so both are read twice; t is read,
  dL and dt are written.
- Replica gates, forward, 4 n + 5 n: the five gates' logits are read besides.
- Replica gates, backward, 7 n + 11 n: the logits are read and their gradients written besides; the second pass needs
  neither t nor the logits, but the first writes what it has of dL, which the second reads instead of dy.

Numbers a channel or a position are not counted. The limit is this count at the speed at which arrays of the layers'
size are copied. Arrays that stay in a cache between the passes make it a limit of that cache, not of the memory.
"""

from dataclasses import dataclass

import torch
from ceilings import copy_bandwidth, median_s
from subjects import Network
from torch import Tensor

from mgu.torch import MultiGatedUnit
from mgu.torch.gated import gated
from mgu.torch.network import build_network
from mgu.training import Recipe
from mgu.wiring import INPUT

#: Arrays of the output's size moved in a step, by gate kind: forward and backward.
MOVED = {"channel": (4, 7), "replica": (9, 18)}


@dataclass(frozen=True)
class TailTime:
    """Seconds a step of a network's tails, the bytes that they must move, and the seconds that these need."""

    seconds: float
    moved: int
    limit_s: float


def tail_time(network: Network, kind: str, device: torch.device) -> TailTime:
    """The tails of all units of a network, forward and backward, with random values for what the layers give."""
    model = build_network(network.architecture(), network.shape, network.classes, gates=kind, bypass="replica")
    found = [
        _unit_time(unit, (Recipe().batch_size, *plan.output_shape), kind, device)
        for unit, plan in zip(model.to(device), network.architecture().plan(network.shape), strict=False)
    ]
    return TailTime(*(sum(getattr(one, field) for one in found) for field in ("seconds", "moved", "limit_s")))


def _unit_time(unit: MultiGatedUnit, shape: tuple[int, ...], kind: str, device: torch.device) -> TailTime:
    channels, rows = shape[1], (shape[0], *shape[2:])
    merged = torch.randn(*rows, channels * (7 if kind == "replica" else 2), device=device, requires_grad=True)
    grad = torch.randn(*rows, channels, device=device).movedim(-1, 1)

    def run() -> None:
        _tail(unit, merged, channels).backward(grad)
        merged.grad = None

    moved = 4 * grad.numel() * sum(MOVED[kind])
    return TailTime(median_s(run, device), moved, moved / copy_bandwidth(grad.numel(), device))


def _tail(unit: MultiGatedUnit, merged: Tensor, channels: int) -> Tensor:
    names, blend = ["linear", "bypass"], unit._blends[unit.chain[-1].name]
    split = [value.movedim(-1, unit.channel_axis) for value in torch.split(merged, channels, dim=-1)]
    known, logits = dict(zip(names, split, strict=False)), tuple(split[2:])
    if not logits:
        return unit._mixed({INPUT: split[0], **known}, unit.gate_logits(split[0]))
    output = gated(blend.parts, blend.between, unit.operations, known.get, merged, names, unit.gate_names, 1.0)
    return unit._mixed({INPUT: split[0], **known}, unit._sharpened(logits)) if output is None else output
