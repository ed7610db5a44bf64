"""How large a network a data set gets, and its batches, where nobody says: by the shape of one sample and the number of
them."""

from collections.abc import Sequence
from math import isqrt, prod

from mgu.errors import InputError
from mgu.layouts import Layout
from mgu.spaces import MAX_COUNT, Architecture

#: So many training samples are worth a further layer, each.
DEEPER_FROM = (1_000, 10_000)
#: The fewest and the most channels of a first layer, over positions and for tables.
OVER_POSITIONS, FOR_TABLES = (8, 32), (16, 128)
#: Channels double from layer to layer, up to so many times those of the first.
WIDEST = 8
#: Strided layers leave so many positions on an axis, as the geometric mean over the axes, and on the shortest one.
LEFT, LEFT_SHORTEST = 4, 2
#: An epoch has 16 batches where that leaves them no smaller, and no larger, than this.
BATCHES, BATCH_SIZES = 16, (8, 64)
#: What is stopped after so many epochs without a better validation: with few batches an epoch is little training.
PATIENCE = 20


def architecture_for(input_shape: Sequence[int], samples: int) -> Architecture:
    """The MGU network for inputs of ``input_shape``, (channels, *positions) or (features,), with ``samples`` to train
    on: little data, a small network. It fits any such input. With w the largest power of two up to sqrt(samples), and
    e = 0, 1 or 2 from 0, 1,000 and 10,000 samples on:

        tables      2 + e linear layers of w features, 16 to 128
        positions   1 + r + e convolutions, at least 2, the first r with stride 2; w / 2 channels, 8 to 32, in the first
                    layer, doubled in each further one up to eight times as many

    where r is the most halvings that leave 4 positions an axis, as the geometric mean, and 2 on the shortest axis. All
    convolutions are 3 wide with "same" padding, so no feature map becomes empty: n positions become ceil(n / 2^r).

    Raises InputError for a shape that is not 1 to 4 whole numbers from 1 on, and for less than one sample.
    """
    if not 1 <= len(input_shape) <= 4 or not all(_is_count(n) for n in input_shape):
        raise InputError(
            f"an input shape is (channels, *positions) with 0 to 3 axes of positions, in whole numbers from 1 to "
            f"{MAX_COUNT}; {tuple(input_shape)} arrived"
        )
    if samples < 1:
        raise InputError(f"a network is sized by its training samples, 1 or more; {samples} arrived")
    positions = tuple(input_shape[1:])
    width = 1 << (isqrt(samples).bit_length() - 1)
    deeper = sum(samples >= count for count in DEEPER_FROM)
    if not positions:
        return Architecture(Layout(2 + deeper, 0, 1, 1, 1), start_filters=_within(width, FOR_TABLES))
    halvings, start = _halvings(positions), _within(width // 2, OVER_POSITIONS)
    layout = Layout(max(2, 1 + halvings + deeper), halvings, 2, 1, 2)
    return Architecture(layout, start_filters=start, max_filters=WIDEST * start)


def batch_size_for(samples: int) -> int:
    """The batch size for a number of training samples: the largest power of two up to samples / 16, from 8 to 64."""
    return _within(1 << (max(1, samples // BATCHES).bit_length() - 1), BATCH_SIZES)


def _halvings(positions: Sequence[int]) -> int:
    """The most r with prod(positions) >= (4 * 2^r)^axes and min(positions) >= 2 * 2^r; 0 where there is none."""
    most = min(positions).bit_length()
    fitting = (
        r
        for r in range(most)
        if prod(positions) >= (LEFT << r) ** len(positions) and min(positions) >= LEFT_SHORTEST << r
    )
    return max(fitting, default=0)


def _within(number: int, ends: tuple[int, int]) -> int:
    return min(max(number, ends[0]), ends[1])


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= MAX_COUNT
