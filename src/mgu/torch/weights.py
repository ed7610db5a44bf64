"""A network's weights in the file that the Keras half reads and writes too."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mgu import portable
from mgu.errors import InputError
from mgu.torch.layers import ConvNd
from mgu.torch.unit import ChainBlock


def save_weights(model: nn.Module, path: str | Path) -> Path:
    """Write the weights and running statistics of a unit, a cell, or a network of them; return the file's path.

    The file is safetensors with names and axes as ``mgu.portable`` says, and the chains in its header. Raises
    InputError for what the file does not hold: numbers wider than float32, and a unit of a convolution that pads with
    other than zeros; and where it cannot be written.
    """
    tensors = {name: _array(value) for name, value in _tensors(model)}
    return portable.write(path, tensors, _blocks(model))


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Put a file's weights into a network of the same chains and shapes, whichever half wrote them.

    Raises InputError where the file cannot be read or is of another network, naming the first difference, and for a
    unit of a convolution that pads with other than zeros.
    """
    own = dict(_tensors(model))
    found = portable.read(path, {name: tuple(value.shape) for name, value in own.items()}, _blocks(model))
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(torch.from_numpy(found[name]))


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """All but counters and the channels that gates see."""
    return ((name, value) for name, value in model.state_dict().items() if value.is_floating_point())


def _array(value: Tensor) -> portable.Array:
    """As an array of float32 where that holds the numbers; NumPy has no bfloat16."""
    return value.detach().cpu().to(torch.promote_types(value.dtype, torch.float32)).numpy()


def _blocks(model: nn.Module) -> dict[str, Any]:
    return {
        name: portable.description(module.chain, _window(name or "the unit", module.operations["linear"]))
        for name, module in model.named_modules()
        if isinstance(module, ChainBlock)
    }


def _window(name: str, layer: nn.Module) -> portable.Window | None:
    if not isinstance(layer, ConvNd):
        return None
    if layer.padding_mode != "zeros":
        raise InputError(
            f"{name} has padding_mode {layer.padding_mode!r}, which the file does not hold: only 'zeros' is allowed; "
            "keep the weights by torch.save(model.state_dict(), path)"
        )
    sizes = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    if layer.padding == "same":
        padding = [(size // 2, size - size // 2) for size in sizes]
    else:
        padding = [(0, 0) if isinstance(p, str) else (p, p) for p in layer.padding]
    return portable.Window(layer.kernel_size, layer.stride, layer.dilation, padding)
