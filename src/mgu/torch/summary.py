"""The units and layers of a PyTorch network as a table."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from mgu.summary import Row, Summary, part_of, shown_means
from mgu.torch.explain import gate_means
from mgu.torch.gates import GATES
from mgu.torch.running import check_module
from mgu.torch.unit import ChainBlock, MultiGatedUnit


def summary(model: nn.Module, x: Tensor | None = None) -> Summary:
    """A row for each unit, plain cell and other layer with weights: its name, its layer, how many weights its layer,
    norms, gates and bypass have, the kind of its gates, and the mean of each gate.

    Running statistics count as weights, as in ``count_weights``; a weight that several modules share counts where it
    comes first. Without ``x``, a gate's mean is that of the sigmoid of its bias alone, which is all of a channel gate;
    with a sample of inputs (samples, ...), on which the model is run once in evaluation mode, it is that of its values.
    The answer prints as a table. The model is as before afterwards. Raises InputError for what is no module.
    """
    check_module(model)
    means = _bias_means(model) if x is None else gate_means(model, x)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    told = "the mean sigmoid of the gates' biases, without the input's part" if x is None else "their means on x"
    return Summary(tuple(_rows(model, means)), trained, told)


def _rows(model: nn.Module, means: dict[str, dict[str, float]]) -> Iterator[Row]:
    seen: set[Tensor] = set()
    blocks: tuple[str, ...] = ()
    for name, module in model.named_modules():
        if any(name.startswith(block) for block in blocks):
            continue
        if isinstance(module, ChainBlock):
            blocks = (*blocks, f"{name}." if name else "")
            yield _unit_row(name, module, means.get(name, {}), seen)
        elif weights := _count([*module.parameters(recurse=False), *module.buffers(recurse=False)], seen):
            yield Row(name, _said(module), {"layer": weights})


def _unit_row(name: str, block: ChainBlock, means: dict[str, float], seen: set[Tensor]) -> Row:
    parts: dict[str, int] = {}
    for operation, module in block.operations.items():
        part = part_of(operation, block.chain)
        parts[part] = parts.get(part, 0) + _count(_weights(module), seen)
    kind = ""
    if isinstance(block, MultiGatedUnit):
        parts["gates"] = _count(_weights(block.gates), seen)
        kind = next((known for known, made in GATES.items() if type(block.gates) is made), type(block.gates).__name__)
    layer = dict(block.operations).get("linear", block)  # none where only its bypass is left
    return Row(name, _said(layer), parts, kind, shown_means(block.chain, means), block.chain)


def _weights(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _count(tensors: Iterable[Tensor], seen: set[Tensor]) -> int:
    """How many numbers those hold that were not seen yet; whole numbers, such as indices, are none."""
    fresh = {tensor for tensor in tensors if tensor.is_floating_point()} - seen
    seen |= fresh
    return sum(tensor.numel() for tensor in fresh)


def _said(layer: nn.Module) -> str:
    """Conv2d(16, 32), or the class alone where no channels can be read."""
    for kind in ("channels", "features"):
        if hasattr(layer, f"in_{kind}") and hasattr(layer, f"out_{kind}"):
            return f"{type(layer).__name__}({getattr(layer, f'in_{kind}')}, {getattr(layer, f'out_{kind}')})"
    return type(layer).__name__


def _bias_means(model: nn.Module) -> dict[str, dict[str, float]]:
    means: dict[str, dict[str, float]] = {}
    for name, unit in model.named_modules():
        if isinstance(unit, MultiGatedUnit):
            with torch.no_grad():
                biases = [torch.sigmoid(unit.sharpness * bias).float().mean().item() for bias in unit.gates.biases()]  # type: ignore[operator]
            means[name] = dict(zip(unit.gate_names, biases, strict=True))
    return means
