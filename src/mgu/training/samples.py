"""A split of a data set as tensors on a device, in batches, and what a network makes of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mgu.data import DataSet, Split
from mgu.data.arrays import Floats
from mgu.data.mapped import Mapped
from mgu.training.streaming import Streamed

EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Samples:
    """A split as the network takes it: x (samples, channels, *positions) standardised, y (samples,), standardised where
    it is a quantity, and ``groups`` (samples,), the number of each sample's group; None where there are none. Images
    that are too many for memory are streamed: ``x[rows]`` reads these rows, and ``x[:]`` all of them."""

    x: Tensor | Streamed
    y: Tensor
    groups: Tensor | None = None

    def __len__(self) -> int:
        return len(self.y)

    def spread(self, most: int) -> "Samples":
        """At most so many samples, evenly spaced: a data set may be in the order of its classes."""
        return self.part(slice(None, None, -(-len(self) // most)))

    def first(self, most: int) -> "Samples":
        """At most so many samples, from the first on."""
        return self.part(slice(most))

    def batches(self, size: int = EVALUATION_BATCH) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches in the samples' own order."""
        return ((self.x[start : start + size], self.y[start : start + size]) for start in range(0, len(self), size))

    def parts(self) -> Iterator[Tensor]:
        """x as one tensor, or where it is streamed in batches."""
        return (x for x, _ in self.batches()) if isinstance(self.x, Streamed) else iter([self.x])

    @property
    def without_numbers(self) -> Tensor:
        """x as its shape alone, on the meta device."""
        first = self.x[:1]
        return first.new_empty(len(self), *first.shape[1:], device="meta")

    def part(self, part: slice) -> "Samples":
        """Those of a slice."""
        x = self.x.part(part) if isinstance(self.x, Streamed) else self.x[part]
        return Samples(x, self.y[part], None if self.groups is None else self.groups[part])


@dataclass(frozen=True)
class Shuffled:
    """Batches of samples, in a new order each time that they are gone through. A single sample that is left over joins
    the batch before it: batch norm has no variance of one."""

    samples: Samples
    size: int
    order: torch.Generator

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def sizes(self) -> list[int]:
        """The size of each batch."""
        whole, left = divmod(len(self.samples), self.size)
        if left == 1 and whole:
            return [self.size] * (whole - 1) + [self.size + 1]
        return [self.size] * whole + [left] * bool(left)

    def rows(self) -> tuple[Tensor, ...]:
        """The numbers of the samples of each batch, in a new order."""
        order = torch.randperm(len(self.samples), generator=self.order).to(self.samples.y.device)
        return torch.split(order, self.sizes)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return ((self.samples.x[rows], self.samples.y[rows]) for rows in self.rows())


def on_device(data: DataSet, device: torch.device) -> tuple[Samples, Samples, Samples]:
    """Train, validation and test on the device, standardised by the training split's mean and deviation."""
    train, validation, test = (_samples(split, data, device) for split in data.splits)
    return train, validation, test


def predict(network: Callable[[Tensor], Tensor], samples: Samples, precision: str = "float32") -> Tensor:
    """What the network gives for the samples, (samples, outputs) float32, without gradients."""
    with torch.no_grad():
        return torch.cat([outputs(network, x, precision) for x, _ in samples.batches()])


def outputs(network: Callable[[Tensor], Tensor], x: Tensor, precision: str) -> Tensor:
    """What the network gives for a batch, in float32; worked out in the precision, "float32" or "bf16" by autocast."""
    with autocast(x.device, precision):
        return network(x).float()


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which layers work in the precision: "float32" as they are, or "bf16"."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def standardised(x: NDArray[Any], mean: Floats, std: Floats, device: torch.device) -> Tensor:
    """Samples as the network takes them: (x - mean) / std in float32 on the device, images with channels last.

    ``x`` is (samples, channels, *positions) or (samples, features), ``mean`` and ``std`` (channels,) or (features,).
    """
    positions = [1] * (x.ndim - 2)
    shift, scale = (torch.tensor(values, device=device).view(1, -1, *positions) for values in (mean, std))
    layout = torch.channels_last if x.ndim == 4 else torch.contiguous_format
    return torch.tensor(x, dtype=torch.float32, device=device).sub_(shift).div_(scale).contiguous(memory_format=layout)


def _samples(split: Split, data: DataSet, device: torch.device) -> Samples:
    y = torch.tensor(split.y, device=device)
    if not data.classes:
        y = (y - data.target_mean) / data.target_std
    made = partial(standardised, mean=data.mean, std=data.std, device=device)
    x = Streamed(split.x, made) if isinstance(split.x, Mapped) else made(split.x)
    return Samples(x, y, _numbered(split, device))


def _numbered(split: Split, device: torch.device) -> Tensor | None:
    if split.groups is None:
        return None
    return torch.tensor(np.unique(split.groups, return_inverse=True)[1], device=device)
