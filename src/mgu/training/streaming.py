"""Images in a file as a network takes them, a batch at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mgu.data.mapped import Mapped


@dataclass(frozen=True, eq=False)
class Streamed:
    """What ``made`` makes of images as they are read. It is indexed by a slice or by positions, as a tensor (samples,
    channels, *positions) is, and gives what that would give, bit for bit: each image is made on its own."""

    images: Mapped
    made: Callable[[NDArray[Any]], Tensor]

    def part(self, part: slice) -> "Streamed":
        """Those of a slice; nothing is read."""
        return Streamed(self.images.take(np.arange(len(self.images))[part]), self.made)

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        return self.made(self.images[rows if isinstance(rows, slice) else rows.cpu().numpy()])
