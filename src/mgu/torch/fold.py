"""Batch norms as part of the layer before them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from mgu.torch.build import as_shape, build, dtype_of
from mgu.torch.trace import trace

#: Which norm becomes part of which layer, and how.
FUSIONS: Mapping[tuple[type[nn.Module], type[nn.Module]], Callable[..., nn.Module]] = {
    (nn.Linear, nn.BatchNorm1d): fuse_linear_bn_eval,
    (nn.Conv1d, nn.BatchNorm1d): fuse_conv_bn_eval,
    (nn.Conv2d, nn.BatchNorm2d): fuse_conv_bn_eval,
    (nn.Conv3d, nn.BatchNorm3d): fuse_conv_bn_eval,
}


def fold(model: nn.Module, input_shape: Sequence[int]) -> nn.Module:
    """A new network in evaluation mode in which each batch norm that directly follows its layer is part of it:

        BN(W x + b) = s W x + s (b - mean) + bias, with s = weight / sqrt(var + eps) for each channel.

    Outputs are the same up to rounding. A norm stays where others read the layer's output too, where an activation
    lies between, where the layer is called twice, and behind a Linear that gives positions, whose axis 1 it is over.
    The model takes (batch, *input_shape) and is as before afterwards; the new one is on the CPU. Raises InputError for
    layers and functions that ``save`` does not take either, and for an input shape that does not fit.

    Source: Jacob et al. 2018, "Quantization and training of neural networks", section 3.2.
    """
    network, weights = trace(model)
    shape = as_shape(input_shape)
    plain = build(network, weights, shape)
    x = torch.zeros(2, *shape, dtype=dtype_of(weights))
    with torch.no_grad():
        ShapeProp(plain).propagate(x)
        for norm in [node for node in plain.graph.nodes if _folds(plain, node)]:
            layer: Any = norm.args[0]
            fuse = FUSIONS[_types(plain, norm)]
            setattr(plain, layer.target, fuse(plain.get_submodule(layer.target), plain.get_submodule(norm.target)))
            norm.replace_all_uses_with(layer)
            plain.graph.erase_node(norm)
    plain.delete_all_unused_submodules()
    plain.recompile()
    return plain


def _folds(plain: fx.GraphModule, node: fx.Node) -> bool:
    """Is it a norm with running statistics that alone reads a layer which is called nowhere else?"""
    before = node.args[0] if node.args else None
    if node.op != "call_module" or not isinstance(before, fx.Node) or before.op != "call_module":
        return False
    calls = Counter(other.target for other in plain.graph.nodes if other.op == "call_module")
    pair, norm = _types(plain, node), plain.get_submodule(str(node.target))
    rows = pair[0] is not nn.Linear or len(before.meta["tensor_meta"].shape) == 2
    return (
        pair in FUSIONS
        and getattr(norm, "running_mean", None) is not None
        and rows
        and len(before.users) == 1
        and calls[before.target] == 1
    )


def _types(plain: fx.GraphModule, norm: fx.Node) -> tuple[type[nn.Module], type[nn.Module]]:
    """The types of the layer before the norm, and of the norm."""
    layer: Any = norm.args[0]
    return type(plain.get_submodule(layer.target)), type(plain.get_submodule(str(norm.target)))
