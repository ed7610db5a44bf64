"""What a saved network may be made of: layers with what constructs them, operators, functions, methods, and names.

A network read from a file is built from these tables alone, and so is the Python source of one.
"""

import keyword
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

_CONVOLUTION = (
    "in_channels",
    "out_channels",
    "kernel_size",
    "stride",
    "padding",
    "dilation",
    "groups",
    "bias",
    "padding_mode",
)
_BATCH_NORM = ("num_features", "eps", "momentum", "affine", "track_running_stats")
_MAX_POOL = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
_AVG_POOL = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")

#: The layers of torch.nn by name, each with the parameters of its constructor; it keeps them as attributes.
LAYERS: Mapping[str, tuple[str, ...]] = {
    "Linear": ("in_features", "out_features", "bias"),
    **{f"Conv{axes}d": _CONVOLUTION for axes in (1, 2, 3)},
    **{f"BatchNorm{axes}d": _BATCH_NORM for axes in (1, 2, 3)},
    **{f"InstanceNorm{axes}d": _BATCH_NORM for axes in (1, 2, 3)},
    "LayerNorm": ("normalized_shape", "eps", "elementwise_affine", "bias"),
    "RMSNorm": ("normalized_shape", "eps", "elementwise_affine"),
    "GroupNorm": ("num_groups", "num_channels", "eps", "affine"),
    "AvgPool1d": _AVG_POOL,
    **{f"AvgPool{axes}d": (*_AVG_POOL, "divisor_override") for axes in (2, 3)},
    **{f"MaxPool{axes}d": _MAX_POOL for axes in (1, 2, 3)},
    **{f"AdaptiveAvgPool{axes}d": ("output_size",) for axes in (1, 2, 3)},
    "Flatten": ("start_dim", "end_dim"),
    **{f"Dropout{axes}": ("p", "inplace") for axes in ("", "1d", "2d", "3d")},
    "AlphaDropout": ("p", "inplace"),
    "Identity": (),
    "SELU": ("inplace",),
    "ReLU": ("inplace",),
    "ELU": ("alpha", "inplace"),
    "GELU": ("approximate",),
    "SiLU": ("inplace",),
    "LeakyReLU": ("negative_slope", "inplace"),
    "Tanh": (),
    "Sigmoid": (),
    "Softmax": ("dim",),
}

#: Python's operators by name: the function, and how it is written.
OPERATORS: Mapping[str, tuple[Callable[..., Any], str]] = {
    "add": (operator.add, "{} + {}"),
    "sub": (operator.sub, "{} - {}"),
    "mul": (operator.mul, "{} * {}"),
    "truediv": (operator.truediv, "{} / {}"),
    "getitem": (operator.getitem, "{}[{}]"),
}

#: Functions by the name that they are written with.
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{
        f"torch.{name}": getattr(torch, name)
        for name in ("add", "mul", "cat", "flatten", "mean", "movedim", "permute", "relu", "reshape", "sigmoid", "tanh")
    },
    **{
        f"nn.functional.{name}": getattr(F, name)
        for name in ("elu", "gelu", "leaky_relu", "relu", "selu", "sigmoid", "silu", "softmax", "tanh")
    },
}

_SHAPING = (
    "contiguous",
    "flatten",
    "movedim",
    "permute",
    "reshape",
    "size",
    "squeeze",
    "transpose",
    "unsqueeze",
    "view",
)
#: Methods of a tensor, none of which changes it.
METHODS = frozenset((*_SHAPING, "amax", "mean", "relu", "sigmoid", "sum", "tanh"))

#: The number formats that weights may have.
DTYPES: Mapping[str, torch.dtype] = {
    name: getattr(torch, name) for name in ("float32", "float64", "float16", "bfloat16")
}

#: Taken in a module or in the source of one, and the letters that look like digits.
_RESERVED = frozenset((*dir(fx.GraphModule), *dir(nn.Module()), "meta", "self", "torch", "nn", "l", "O", "I"))


def settings(layer: nn.Module) -> dict[str, Any]:
    """What constructs a layer of ``LAYERS`` again, without its weights."""
    return {name: _setting(layer, name) for name in LAYERS[type(layer).__name__]}


def is_layer(module: nn.Module) -> bool:
    """Is it a layer of the table itself, rather than a subclass of one?"""
    name = type(module).__name__
    return name in LAYERS and type(module) is getattr(nn, name)


def is_name(text: object) -> bool:
    """May it name a layer or a value in Python source? Plain ASCII letters, digits and underscores, nothing taken."""
    if not isinstance(text, str) or not re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,199}", text):
        return False
    return not keyword.iskeyword(text) and text not in _RESERVED


def as_name(text: str, taken: set[str]) -> str:
    """The nearest name to ``text`` that is allowed and not taken, which it then is."""
    base = re.sub("[^A-Za-z0-9_]", "_", text)[:150]
    base = base if is_name(base) else f"layer_{base.lstrip('_')}"
    name = next(name for n in range(1, len(taken) + 2) if (name := base if n == 1 else f"{base}_{n}") not in taken)
    taken.add(name)
    return name


def _setting(layer: nn.Module, name: str) -> Any:
    """An attribute of the layer, except that a constructor is told whether there is a bias."""
    value = getattr(layer, name)
    if name == "bias":
        return value is not None
    return tuple(value) if isinstance(value, tuple | list) else value
