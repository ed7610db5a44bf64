"""Fit one network on one data set by the paper's recipe, on a clock."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch._dynamo  # the first optimizer would import it, on the first trial's clock
from torch import Tensor, nn

from mgu.data import DataSet
from mgu.errors import InputError
from mgu.hardening import finish
from mgu.history import Epoch, Result
from mgu.measure import Clock
from mgu.samples import EVALUATION_BATCH, Samples, Shuffled, autocast, cross_entropy, evaluate, on_device, totals
from mgu.spaces import Architecture
from mgu.torch.explain import gate_means
from mgu.torch.latency import latency
from mgu.torch.network import build_network

#: Latency is the median of so many calls.
ROUNDS = 10
PRECISIONS = ("float32", "bf16")
#: What ``--compile`` may be: none, or a mode of torch.compile ("reduce-overhead" uses CUDA graphs).
COMPILE_MODES = ("none", "default", "reduce-overhead", "max-autotune")


@dataclass(frozen=True)
class Recipe:
    """The paper's training recipe (section 5.2).

    Nadam with learning rate lr / (1 + decay * step), at most ``epochs`` epochs in batches of ``batch_size``, stopped
    once validation accuracy has not risen for ``patience`` epochs; the weights of the best epoch are restored. The
    paper names no decay: ``None`` is lr / epochs, Keras's custom. An MGU network is hardened afterwards, and the plain
    network fine-tuned for ``fine_tune`` times the epochs that training took, at least one; 0 leaves it soft. Raises
    InputError for a value out of range.
    """

    epochs: int = 100
    batch_size: int = 64
    lr: float = 0.01
    decay: float | None = None
    patience: int = 10
    precision: str = "float32"
    compile: str = "none"
    fine_tune: float = 0.1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1; {getattr(self, name)} was given")
        if not 0 < self.lr < math.inf or not 0 <= self.step_decay < math.inf:
            raise InputError(f"lr must be above 0 and decay at least 0; {self.lr} and {self.decay} were given")
        if not 0 <= self.fine_tune <= 1:
            raise InputError(f"fine_tune must be a share between 0 and 1 of the epochs; {self.fine_tune} was given")
        for name, allowed in (("precision", PRECISIONS), ("compile", COMPILE_MODES)):
            if getattr(self, name) not in allowed:
                raise InputError(f"unknown {name} {getattr(self, name)!r}; allowed: {', '.join(allowed)}")

    @property
    def step_decay(self) -> float:
        return self.lr / self.epochs if self.decay is None else self.decay


@dataclass(frozen=True)
class Fitted:
    """A trained network, in evaluation mode and with the weights of its best epoch, the plain network that it hardened
    to, None where it was not hardened, and how the run went."""

    network: nn.Module
    result: Result
    hardened: nn.Module | None = None


def fit(
    architecture: Architecture,
    data: DataSet,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "cpu",
    unit: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Fitted:
    """Build the network of an architecture and train it; ``unit`` are MultiGatedUnit's options.

    The same seed gives the same weights, order of samples and dropout, and so, on one machine and number of threads,
    the same result. No clock counts the time in ``on_epoch``, or that of recording the gates' means for the history.
    From here on the process takes denormal numbers for 0 (``flush_denormals``). A loss that is not finite ends the run
    with status "diverged". The test split is read once, at the end. Raises InputError where the architecture does not
    fit the data.
    """
    target = torch.device(device)
    flush_denormals()
    _ = data.mean, data.std  # worked out once a data set and shared by all trials, so on no trial's clock
    wall = Clock(target)
    with wall.running(), torch.backends.cudnn.flags(deterministic=True, benchmark=False):
        begun = wall.now()
        torch.manual_seed(seed)
        network = build_network(architecture, data.input_shape, len(data.classes), **(unit or {}))
        layout = torch.channels_last if len(data.input_shape) == 3 else torch.contiguous_format
        train, validation, test = on_device(data, target)
        run = _Run(network.to(target).to(memory_format=layout), recipe, target, begun, seed)  # type: ignore[call-overload]
        run.warm_up(train)
        finished = run.fit(train, validation, on_epoch)
        test_acc = run.evaluate(test)[1] if finished else None
    network.eval()
    hardened, hardening, latency_s = None, None, None
    if finished:
        with autocast(target, recipe.precision):
            latency_s = latency(network, validation.x[: recipe.batch_size], ROUNDS)
    if finished and architecture.cell is None and recipe.fine_tune:
        hardened, hardening = finish(network, (train, validation, test), recipe, len(run.history), seed)
    best = run.best if finished else None
    result = Result(
        status="finished" if finished else "diverged",
        tts_s=wall.seconds - run.apart_s,
        train_s=run.train_clock.seconds,
        compile_s=run.compile_clock.seconds,
        train_acc=best.train_acc if best else None,
        val_acc=best.val_acc if best else None,
        test_acc=test_acc,
        best_epoch=best.epoch if best else None,
        history=tuple(run.history),
        message="" if finished else f"the loss was not finite in epoch {len(run.history) + 1}",
        latency_s=latency_s,
        hardening=hardening,
    )
    return Fitted(network, result, hardened)


@dataclass
class _Run:
    """The state of one training run."""

    network: nn.Module
    recipe: Recipe
    device: torch.device
    begun: float
    seed: int
    history: list[Epoch] = field(default_factory=list)
    best: Epoch | None = None

    def __post_init__(self) -> None:
        self.forward: Callable[[Tensor], Tensor] = self.network
        self.train_clock, self.compile_clock, self.telling_clock = (Clock(self.device) for _ in range(3))
        self.order = torch.Generator().manual_seed(self.seed)
        self.optimizer = torch.optim.NAdam(self.network.parameters(), lr=self.recipe.lr, eps=1e-7)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: 1 / (1 + self.recipe.step_decay * step)
        )

    def fit(self, train: Samples, validation: Samples, on_epoch: Callable[[Epoch], None]) -> bool:
        """Train until the epochs or the patience are spent, and restore the best weights; False where it diverged."""
        best_weights: dict[str, Tensor] = {}
        for number in range(1, self.recipe.epochs + 1):
            train_loss, train_acc = self.train(train)
            if not math.isfinite(train_loss):
                return False
            val_loss, val_acc = self.evaluate(validation)
            elapsed = self.train_clock.now() - self.begun - self.apart_s
            with self.telling_clock.running():
                gates = gate_means(self.network, validation.spread(EVALUATION_BATCH).x)
                epoch = Epoch(number, train_loss, train_acc, val_loss, val_acc, elapsed, gates)
                self.history.append(epoch)
                on_epoch(epoch)
            if self.best is None or epoch.val_acc > self.best.val_acc:
                self.best = epoch
                best_weights = {name: weight.clone() for name, weight in self.network.state_dict().items()}
            elif number - self.best.epoch >= self.recipe.patience:
                break
        self.network.load_state_dict(best_weights)
        return True

    @property
    def apart_s(self) -> float:
        """Time that is not the trial's own: compiling, and telling of epochs."""
        return self.compile_clock.seconds + self.telling_clock.seconds

    def train(self, samples: Samples) -> tuple[float, float]:
        """One epoch of training steps: its running mean loss and accuracy."""
        self.network.train()
        sums = torch.zeros(2, device=self.device)
        with self.train_clock.running():
            for x, y in Shuffled(samples, self.recipe.batch_size, self.order):
                sums += self._step(x, y)
        loss, correct = sums.tolist()
        return loss / len(samples), correct / len(samples)

    def evaluate(self, samples: Samples) -> tuple[float, float]:
        """Mean loss and accuracy in evaluation mode."""
        return evaluate(self.network, samples, self.recipe.precision)

    def warm_up(self, train: Samples) -> None:
        """Compile where the recipe says so, and take a step of each batch size, undone afterwards, so that no trial's
        clock has what only the first steps of a shape cost."""
        with self.compile_clock.running(), self._undone():
            if self.recipe.compile != "none":
                self.forward = torch.compile(self.network, mode=self.recipe.compile, dynamic=False)
            self.network.train()
            last = len(train.y) % self.recipe.batch_size
            for size in {min(self.recipe.batch_size, len(train.y)), last} - {0}:
                loss, _ = cross_entropy(self.forward, train.x[:size], train.y[:size], self.recipe.precision)
                loss.backward()  # type: ignore[no-untyped-call]

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """Put back weights, statistics, gradients and random state at the end."""
        state = {name: value.clone() for name, value in self.network.state_dict().items()}
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            yield
        self.network.load_state_dict(state)
        self.optimizer.zero_grad()

    def _step(self, x: Tensor, y: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        loss, logits = cross_entropy(self.forward, x, y, self.recipe.precision)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedule.step()
        return totals(loss.detach(), logits.detach(), y)


def flush_denormals() -> None:
    """Make the process take numbers below 1e-38 for 0: processors work on them many times slower, which hits
    networks without a norm (the grid's, not the unit's) and would pass for a speed-up.

    Threads keep the setting that they were started with: warns where torch's were started without it, which the first
    parallel operation before this call does.
    """
    torch.set_flush_denormal(True)
    tiny = torch.full((2**16 * torch.get_num_threads(),), 1e-38)
    if bool((tiny * 0.5).any()):
        warnings.warn(
            "torch's threads were started before denormal numbers were set to be taken for 0; timings of networks "
            "without a norm may be many times too long. Call mgu.training.flush_denormals() first in the process",
            stacklevel=3,
        )
