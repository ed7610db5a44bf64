"""Training after training: gates made to decide, and a hardened network fine-tuned."""

from collections.abc import Callable, Iterator, Sized
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mgu.errors import InputError
from mgu.torch.unit import MultiGatedUnit

Loss = Callable[[Tensor, Tensor], Tensor]


class Batches(Sized, Protocol):
    """What is gone through once an epoch, such as a list or a DataLoader: tuples of x and labels."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]: ...


def fine_tune(
    model: nn.Module,
    batches: Batches,
    epochs: int,
    lr: float = 1e-3,
    loss: Loss = F.cross_entropy,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> None:
    """Train the model in place for a few more epochs: Nadam, the learning rate falling linearly from ``lr`` to 0.

    Afterwards it is in evaluation mode; ``on_epoch(number)`` is called after each epoch. Raises InputError where there
    is no batch.
    """
    for step, total in _steps(model, batches, epochs, lr, loss):
        if step % (total // epochs) == 0:
            on_epoch(step // (total // epochs))
            model.train()
    model.eval()


def sharpen(
    model: nn.Module,
    batches: Batches,
    epochs: int,
    lr: float = 1e-3,
    sharpness: float = 10.0,
    loss: Loss = F.cross_entropy,
) -> None:
    """Train the model in place while its gates are made to decide: g = sigmoid(k logits), k growing from 1 to
    ``sharpness`` by the same factor each step. Otherwise as ``fine_tune``.

    Afterwards the gates stay as sharp (``unit.sharpness``, which is no part of the state dict: harden the model, or set
    it anew where weights are loaded), so that hardening the model changes it less. Raises InputError where there is no
    unit or no batch, or where ``sharpness`` is below 1.
    """
    units = [module for module in model.modules() if isinstance(module, MultiGatedUnit)]
    if not units or sharpness < 1:
        raise InputError(f"sharpening needs a MultiGatedUnit and a sharpness of at least 1; {sharpness} was given")
    for step, total in _steps(model, batches, epochs, lr, loss):
        for unit in units:
            unit.sharpness = sharpness ** (step / total)
    model.eval()


def _steps(model: nn.Module, batches: Batches, epochs: int, lr: float, loss: Loss) -> Iterator[tuple[int, int]]:
    """Take the training steps; after each, its number and how many there are."""
    total = epochs * len(batches)
    if not total:
        raise InputError(
            f"{epochs} epochs of {len(batches)} batches are nothing to train on; give at least one of each"
        )
    optimizer = torch.optim.NAdam(model.parameters(), lr=lr, eps=1e-7)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / total)
    model.train()
    step = 0
    for _ in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            loss(model(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            step += 1
            yield step, total
