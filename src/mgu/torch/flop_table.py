"""How many floating-point operations each of torch's operations counts as.

| operation | counts |
|---|---|
| matrix product of (m, k) and (k, n) | 2 m k n |
| convolution | 2 an output and weight that it is made with, padding included |
| its backward pass | as much again for the input's gradient, where it is needed, and for the weights' |
| bias of either | 1 an output; its gradient 1 an output |
| adding, subtracting, multiplying, dividing, comparing, negating | 1 an element of the result |
| a function of one number: exp, log, sqrt, tanh, sigmoid, and any activation | 1 an element |
| the backward pass of one | 2 an element: the derivative, and its product with the gradient |
| several in one: a + b c, a + b / c; a + c (b - a) | 2; 3; and 1 more for a constant factor |
| sum, mean, maximum; variance | 1 an element read; 4 |
| batch, layer and group norm | 8 an element: mean 1, variance 3, x - mean and / deviation 2, weight and bias 2 |
| batch norm by running statistics | 4 an element |
| the backward pass of batch norm | 9 an element: x again 2, sums of g and g x 3, g - mean g - x mean(g x) 3, factor 1 |
| by running statistics | 6 an element: x again 2, sums of g and g x 3, factor 1 |
| of layer and group norm | 13 an element: as batch norm, and g times the weight 1, its own sums of g and g x 3 |
| pooling by a window | 1 an output and position of the window; backward the same, 1 an output for the maximum |
| adaptive pooling | 1 an element read, forward and backward |
| softmax, log-softmax | 5 an element: maximum, difference, exp, sum, difference or ratio; backward 4 |
| cross-entropy behind it | 1 a sample, forward and backward |
| squared error | 3 an element: difference, square, sum; backward 2 |

A norm without weights has 2 an element less forward, and layer and group norm 4 less backward. What a norm does once a
channel or row (the root, the running statistics) is left out. Whole numbers, random numbers, casts and the moving of
data count nothing. Torch's own element-wise operations are known by their tag, ``torch.Tag.pointwise``; whatever else
is in none of the tables is unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from mgu.history import Flops


@dataclass(frozen=True)
class Call:
    """One operation as it was called: torch's arguments and keywords, and its first result."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    result: Any


Formula = Callable[[Call], int]


def _each(cost: int) -> Formula:
    """So many for each element of the result; a constant factor other than 1 is one more."""
    factors = ("alpha", "value")
    return lambda call: call.result.numel() * (cost + sum(call.kwargs.get(name, 1) != 1 for name in factors))


def _read(cost: int, argument: int = 0) -> Formula:
    """So many for each element of an argument."""
    return lambda call: cost * call.args[argument].numel()


def _product(left: int) -> Formula:
    """A matrix product whose left matrix is that argument."""
    return lambda call: 2 * call.result.numel() * call.args[left].shape[-1]


def _convolution(call: Call) -> int:
    x, weight, transposed = call.args[0], call.args[1], call.args[6]
    return _convolved(x if transposed else call.result, weight)


def _convolution_backward(call: Call) -> int:
    grad, x, weight, transposed = (call.args[i] for i in (0, 1, 2, 7))
    of_x, of_weight, _ = call.args[10]
    return (of_x + of_weight) * _convolved(x if transposed else grad, weight)  # type: ignore[no-any-return]


def _convolved(outputs: Tensor, weight: Tensor) -> int:
    """The weights are (outputs, inputs / groups, *window): each output is made with those of its own row."""
    return 2 * outputs.numel() * prod(weight.shape[1:])


def _batch_norm(call: Call) -> int:
    x, weight, training = call.args[0], call.args[1], call.args[5]
    return (2 + 4 * training + _affine(weight)) * x.numel()  # type: ignore[no-any-return]


def _affine(weight: Tensor | None) -> int:
    return 0 if weight is None else 2


def _window(size: int, at: int, elements: Callable[[Call], Tensor]) -> Formula:
    """One for each element and position of the window, an argument of one number or ``size``."""
    return lambda call: elements(call).numel() * prod(_long(call.args[at], size))


def _long(window: Sequence[int], size: int) -> Sequence[int]:
    return window if len(window) == size else [window[0]] * size


#: Matrix products and convolutions, by torch's name for the operation; in-place variants go by the same name.
MATRIX: Mapping[str, Formula] = {
    "mm": _product(0),
    "bmm": _product(0),
    "mv": lambda call: 2 * call.args[0].numel(),
    "dot": lambda call: 2 * call.args[0].numel(),
    "addmm": _product(1),
    "baddbmm": _product(1),
    "convolution": _convolution,
    "convolution_backward": _convolution_backward,
}

_FUNCTIONS = ("hardswish", "_prelu_kernel", "log_sigmoid_forward")
_DERIVATIVES = (
    *("elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_sigmoid", "logit", "mish"),
    *("_prelu_kernel", "sigmoid", "silu", "softplus", "tanh", "threshold"),
)
_SUMS = ("amax", "amin", "argmax", "argmin", "cumsum", "max", "mean", "min", "prod", "sum")

#: Everything else that counts, and what matrix products and convolutions have besides.
OTHER: Mapping[str, Formula] = {
    "addmm": _each(1),
    "baddbmm": _each(1),
    "convolution": lambda call: 0 if call.args[2] is None else call.result.numel(),
    "convolution_backward": lambda call: call.args[10][2] * call.args[0].numel(),
    **{name: _each(1) for name in _FUNCTIONS},
    **{f"{name}_backward": _each(2) for name in _DERIVATIVES},
    "addcmul": _each(2),
    "addcdiv": _each(2),
    "lerp": _each(3),
    **{name: _read(1) for name in _SUMS},
    **{name: _read(4) for name in ("std", "std_mean", "var", "var_mean")},
    "linalg_vector_norm": _read(2),
    "native_batch_norm": _batch_norm,
    "native_batch_norm_backward": lambda call: (9 if call.args[7] else 6) * call.args[0].numel(),
    "native_layer_norm": lambda call: (6 + _affine(call.args[2])) * call.args[0].numel(),
    "native_layer_norm_backward": lambda call: (9 + 2 * _affine(call.args[5])) * call.args[0].numel(),
    "native_group_norm": lambda call: (6 + _affine(call.args[1])) * call.args[0].numel(),
    "native_group_norm_backward": lambda call: (9 + 2 * _affine(call.args[4])) * call.args[0].numel(),
    **{f"avg_pool{axes}d": _window(axes, 1, lambda call: call.result) for axes in (2, 3)},
    **{f"avg_pool{axes}d_backward": _window(axes, 2, lambda call: call.args[0]) for axes in (2, 3)},
    **{f"max_pool{axes}d_with_indices": _window(axes, 1, lambda call: call.result) for axes in (2, 3)},
    **{f"max_pool{axes}d_with_indices_backward": _read(1) for axes in (2, 3)},
    **{f"_adaptive_avg_pool{axes}d": _read(1) for axes in (2, 3)},
    **{f"_adaptive_avg_pool{axes}d_backward": _each(1) for axes in (2, 3)},
    **{name: _each(5) for name in ("_softmax", "_safe_softmax", "_log_softmax")},
    **{name: _each(4) for name in ("_softmax_backward_data", "_log_softmax_backward_data")},
    "nll_loss_forward": _read(1, 1),
    "nll_loss_backward": _read(1, 2),
    "mse_loss": _read(3),
    "mse_loss_backward": _each(2),
    # gradients of what reads a value several times are added up
    **{f"{kind}_pad{axes}d_backward": _read(1) for kind in ("reflection", "replication") for axes in (1, 2, 3)},
    "embedding_dense_backward": _read(1),
    "index_add": _read(1, 3),
}

#: What makes, moves, casts, selects or draws numbers without arithmetic on them.
IGNORED = frozenset(
    (
        *("_local_scalar_dense", "_reshape_alias", "_to_copy", "_unsafe_view", "alias", "arange", "as_strided"),
        *("bernoulli", "cat", "clone", "constant_pad_nd", "copy", "detach", "diagonal", "embedding", "empty"),
        *("empty_like", "empty_strided", "expand", "eye", "fill", "flip", "full", "full_like", "gather", "index"),
        *("index_select", "lift_fresh", "linspace", "masked_fill", "narrow", "new_empty", "new_empty_strided"),
        *("new_full", "new_ones", "new_zeros", "normal", "ones", "ones_like", "permute", "positive", "rand"),
        *(
            "rand_like",
            "randn",
            "randn_like",
            "repeat",
            "roll",
            "scalar_tensor",
            "scatter",
            "select",
            "select_backward",
        ),
        *("select_scatter", "slice", "slice_backward", "slice_scatter", "split", "split_with_sizes", "squeeze"),
        *("stack", "t", "transpose", "tril", "triu", "unbind", "unfold", "uniform", "unsafe_split", "unsqueeze"),
        *("view", "where", "zero", "zeros", "zeros_like"),
        *(f"{kind}_pad{axes}d" for kind in ("reflection", "replication") for axes in (1, 2, 3)),
    )
)


def flops_of(operation: torch._ops.OpOverload, call: Call) -> Flops | None:
    """What one call of an operation counts as; None where the operation is unknown."""
    space, _, name = operation._schema.name.partition("::")
    name = name.rstrip("_")  # add_ is add, in place
    if space == "profiler" or name in IGNORED or not _on_numbers(call):
        return Flops(0, 0)
    if space != "aten":
        return None
    formula = OTHER.get(name) or (_each(1) if torch.Tag.pointwise in operation.tags else None)
    if formula is None and name not in MATRIX:
        return None
    matrix = MATRIX[name](call) if name in MATRIX else 0
    return Flops(matrix, matrix + (formula(call) if formula else 0))


def _on_numbers(call: Call) -> bool:
    """Whether there are other numbers than whole ones in what the operation reads or gives."""
    values = torch.utils._pytree.tree_leaves((call.args, call.kwargs, call.result))
    return any(isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex()) for value in values)
