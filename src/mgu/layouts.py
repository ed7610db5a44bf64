"""From a layout, the paper's five numbers, to the layers of a network with their shapes."""

import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from math import inf

from mgu.errors import InputError

MAX_LAYERS = 1000


@dataclass(frozen=True)
class Layout:
    """``[nr_layers, nr_reductions, max_strides, min_layer_padding_same, scale_filters]`` (paper, section 5.1).

    Layer i (from 0) has ``int(start_filters * scale_filters**i)`` filters, stride ``max_strides`` while
    i < nr_reductions, and padding "valid" until i >= min_layer_padding_same - 1, then "same".
    """

    nr_layers: int
    nr_reductions: int
    max_strides: int
    min_layer_padding_same: float
    scale_filters: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Layout":
        """Read the five numbers; raise InputError where one is missing, no number, or out of range."""
        text = f"layout {str(numbers)[:200]}"
        if not isinstance(numbers, list | tuple) or len(numbers) != 5 or not all(map(_is_number, numbers)):
            raise InputError(
                f"{text}: five numbers are needed: nr_layers, nr_reductions, max_strides, min_layer_padding_same, "
                "scale_filters"
            )
        if not all(float(n).is_integer() for n in numbers[:3]):
            raise InputError(f"{text}: nr_layers, nr_reductions and max_strides must be whole numbers")
        layers, reductions, strides = (int(n) for n in numbers[:3])
        same, scale = numbers[3:]
        if not 1 <= layers <= MAX_LAYERS or reductions < 0 or strides < 1 or not same >= 0 or not 0 < scale < inf:
            raise InputError(
                f"{text}: nr_layers must be from 1 to {MAX_LAYERS}, max_strides at least 1, nr_reductions and "
                "min_layer_padding_same at least 0, scale_filters above 0"
            )
        return cls(layers, reductions, strides, same, scale)

    def __str__(self) -> str:
        return "[" + ", ".join(f"{n:g}" if float(f"{n:g}") == n else repr(n) for n in astuple(self)) + "]"


@dataclass(frozen=True)
class LayerPlan:
    """One layer: a convolution over ``len(input_shape) - 1`` axes, or a linear layer where that is none.

    Shapes are (channels, *positions). ``padding`` is added on both sides of every position axis; "same" padding is
    (kernel_size - 1) / 2, which gives ceil(n / stride) positions.
    """

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    kernel_size: int
    stride: int
    padding: int


def plan_layers(
    layout: Layout, input_shape: tuple[int, ...], *, start_filters: int, max_filters: int, kernel_size: int
) -> tuple[LayerPlan, ...]:
    """The layers of a layout on inputs of ``input_shape`` (channels, *positions).

    Raises InputError, naming the layer and the shapes, where a layer would leave an empty feature map, and where "same"
    padding meets an even kernel.
    """
    plans = []
    shape = input_shape
    for i in range(layout.nr_layers):
        filters = _filters(i, layout.scale_filters, start_filters, max_filters)
        stride = layout.max_strides if i < layout.nr_reductions else 1
        same = i >= layout.min_layer_padding_same - 1
        if same and len(shape) > 1 and kernel_size % 2 == 0:
            raise InputError(
                f'layout {layout}: layer {i + 1} has "same" padding, which needs an odd kernel_size; '
                f"{kernel_size} was given"
            )
        padding = (kernel_size - 1) // 2 if same else 0
        output = (filters, *((n + 2 * padding - kernel_size) // stride + 1 for n in shape[1:]))
        if min(output) < 1:
            raise InputError(
                f"layout {layout} does not fit inputs of shape {input_shape}: layer {i + 1} of {layout.nr_layers} "
                f"(kernel {kernel_size}, stride {stride}, padding {'same' if same else 'valid'}, {filters} filters) "
                f"would turn {shape} into an empty feature map {tuple(max(0, n) for n in output)}; use fewer layers or "
                "reductions, larger inputs, or a smaller min_layer_padding_same"
            )
        plans.append(LayerPlan(shape, output, kernel_size, stride, padding))
        shape = output
    return tuple(plans)


def _is_number(value: object) -> bool:
    """Is it a number that a float holds, or infinity?"""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= sys.float_info.max
    return isinstance(value, float)


def _filters(i: int, scale: float, start: int, most: int) -> int:
    try:
        return min(most, int(start * scale**i))
    except OverflowError:  # beyond what a float holds, and so beyond any maximum
        return most
