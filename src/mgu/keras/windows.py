"""What a layer's window sees: the padding of its positions, and a depth-wise layer with that window."""

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

from keras import ops
from keras.layers import Layer

from mgu.errors import InputError


class Window(NamedTuple):
    """A layer's kernel, stride, dilation and padding (before, behind) in numbers; one entry an axis of positions."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, layer: Layer, positions: Sequence[int | None]) -> "Window":
        """The window of a convolution over so many positions. Raises InputError where "same" padding with a stride
        depends on a number that is not known."""
        settings = zip(positions, layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)
        padding = tuple(_padding(layer.padding, n, d * (k - 1) + 1, s) for n, k, s, d in settings)
        return cls(tuple(layer.kernel_size), tuple(layer.strides), tuple(layer.dilation_rate), padding)

    def apply(self, x: Any, kernel: Any) -> Any:
        """Each channel of x (batch, *positions, channels) seen through its own window: kernel (*size, channels).

        It is a sum of slices, over any number of axes: Keras's own depth-wise convolution has no third, and XLA's is
        slow on the CPU.
        """
        x = ops.pad(x, [(0, 0), *self.padding, (0, 0)])
        total = None
        for at in product(*map(range, self.size)):
            term = x[(slice(None), *self._places(at))] * kernel[at]
            total = term if total is None else total + term
        return total

    def _places(self, at: Sequence[int]) -> list[slice]:
        """What the kernel's position ``at`` reads, over all steps; ends count from behind, where the length may not be
        known."""
        begins = [d * k for d, k in zip(self.dilation, at, strict=True)]
        spans = [d * (k - 1) for d, k in zip(self.dilation, self.size, strict=True)]
        ends = [begin - span or None for begin, span in zip(begins, spans, strict=True)]
        return [slice(*place) for place in zip(begins, ends, self.strides, strict=True)]


def _padding(padding: str, length: int | None, span: int, stride: int) -> tuple[int, int]:
    """Before and behind: "same" gives ceil(length / stride) positions, the odd one behind, as TensorFlow has it."""
    if padding == "valid":
        return 0, 0
    if padding == "causal":
        return span - 1, 0
    if stride > 1 and length is None:
        raise InputError(
            'where a stride meets "same" padding, depthwise gates and portable weights need the number of positions; '
            "give it in the input shape"
        )
    total = max(span - stride if length is None or length % stride == 0 else span - length % stride, 0)
    return total // 2, total - total // 2
