"""One network through the epochs of a recipe, on its clocks."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
import torch._dynamo  # the first optimizer would import it, on the first trial's clock
from torch import Tensor, nn

from mgu.history import Epoch, Flops, Result, Usage
from mgu.measure import Clock, Meter, combined
from mgu.torch.explain import gate_means
from mgu.torch.latency import latency
from mgu.training.cases import case_answers
from mgu.training.operations import Operations, count_operations
from mgu.training.recipe import Recipe
from mgu.training.samples import EVALUATION_BATCH, Samples, Shuffled, autocast, outputs, predict
from mgu.training.tasks import Task

Splits = tuple[Samples, Samples, Samples]
#: Latency is the median of so many calls.
ROUNDS = 10
NOTHING = Flops(0, 0)


@dataclass(frozen=True)
class Setting:
    """What a run is done under; ``meter`` measures it where there is one."""

    task: Task
    recipe: Recipe
    device: torch.device
    seed: int
    meter: Meter | None = None


@dataclass(frozen=True)
class Snapshot:
    """A run as it was after an epoch: its weights, its history so far, the seconds on its clocks, its operations and
    what its meter had read."""

    weights: dict[str, Tensor]
    history: tuple[Epoch, ...] = ()
    train_s: float = 0.0
    compile_s: float = 0.0
    flops: Flops | None = NOTHING
    usage: Usage | None = None

    @property
    def epoch(self) -> int:
        return len(self.history)

    @property
    def elapsed_s(self) -> float:
        return self.history[-1].elapsed_s if self.history else 0.0


class Run:
    """The training of a network. ``build`` and ``splits`` give the network and the samples, on the run's clock;
    ``before`` is the run that this one goes on from, its epochs and all that it cost counted."""

    def __init__(
        self,
        build: Callable[[], nn.Module],
        splits: Callable[[], Splits],
        setting: Setting,
        before: Snapshot | None = None,
    ) -> None:
        self.setting, self.before = setting, before or Snapshot({})
        self.task, self.recipe, device = setting.task, setting.recipe, setting.device
        self.usage = self.before.usage
        self.train_clock, self.compile_clock, self.telling_clock = (Clock(device) for _ in range(3))
        self.begun = self.train_clock.now() - self.before.elapsed_s
        self.network = build()
        self.train_samples, self.validation, self.test = splits()
        self.forward: Callable[[Tensor], Tensor] = self.network
        self.history, self.best, self.snapshot = list(self.before.history), None, None
        self.order = torch.Generator().manual_seed(setting.seed)
        self.optimizer = torch.optim.NAdam(self.network.parameters(), lr=self.recipe.lr, eps=1e-7)
        done = self.before.epoch * len(self._batches())
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: 1 / (1 + self.recipe.step_decay * (done + step))
        )

    best: Epoch | None
    snapshot: Snapshot | None

    def solve(self, on_epoch: Callable[[Epoch], None], snapshot_after: int = 0) -> Result:
        """Train, evaluate on the test split, and leave the network in evaluation mode with the best epoch's weights.

        ``snapshot`` is then the run as it was after epoch ``snapshot_after``, or its last one where it ended before.
        """
        self.warm_up()
        finished = self.fit(on_epoch, snapshot_after)
        answered = self.predict(self.test) if finished else None
        tts_s = self.train_clock.now() - self.begun - self.apart_s
        self._read_meter()
        self.network.eval()
        best = self.best if finished else None
        return Result(
            status="finished" if finished else "diverged",
            tts_s=tts_s,
            train_s=self.before.train_s + self.train_clock.seconds,
            compile_s=self.before.compile_s + self.compile_clock.seconds,
            train_score=best.train_score if best else None,
            val_score=best.val_score if best else None,
            test_score=self._score(answered, self.test) if answered is not None else None,
            test_answers=self.task.answers(answered, self.test.y) if answered is not None else None,
            test_case_answers=case_answers(self.task, answered, self.test) if answered is not None else None,
            best_epoch=best.epoch if best else None,
            history=tuple(self.history),
            message="" if finished else f"the loss was not finite in epoch {len(self.history) + 1}",
            latency_s=self._latency() if finished else None,
            step_flops=self.operations.step if self.operations else None,
            run_flops=self._flops(tested=finished),
            usage=self.usage,
        )

    def fit(self, on_epoch: Callable[[Epoch], None], snapshot_after: int = 0) -> bool:
        """Train until the epochs or the patience are spent, and restore the best weights; False where it diverged."""
        best_weights: dict[str, Tensor] = {}
        for number in range(self.before.epoch + 1, self.recipe.epochs + 1):
            train_loss, train_score = self.train()
            if not math.isfinite(train_loss):
                return False
            val_loss, val_score = self.evaluate(self.validation)
            elapsed = self.train_clock.now() - self.begun - self.apart_s
            with self.telling_clock.running():
                gates = gate_means(self.network, self.validation.spread(EVALUATION_BATCH).x)
                epoch = Epoch(number, train_loss, train_score, val_loss, val_score, elapsed, gates)
                self.history.append(epoch)
                on_epoch(epoch)
                if number == snapshot_after:
                    self._take_snapshot()
            if self.best is None or epoch.val_score > self.best.val_score:
                self.best, best_weights = epoch, self._weights()
            elif number - self.best.epoch >= self.recipe.patience:
                break
        if snapshot_after and not self.snapshot:
            self._take_snapshot()
        self.network.load_state_dict(best_weights)
        return True

    @property
    def apart_s(self) -> float:
        """Time that is not the trial's own: compiling, and telling of epochs."""
        return self.compile_clock.seconds + self.telling_clock.seconds

    def train(self) -> tuple[float, float]:
        """One epoch of training steps: its running mean loss and score."""
        self.network.train()
        sums = torch.zeros(2, device=self.setting.device)
        with self.train_clock.running():
            for x, y in self._batches():
                sums += self._step(x, y)
        loss, scored = sums.tolist()
        return loss / len(self.train_samples), self.task.score(scored, self.train_samples.y)

    def predict(self, samples: Samples) -> Tensor:
        """The network's outputs in evaluation mode, in which it is left."""
        return predict(self.network.eval(), samples, self.recipe.precision)

    def evaluate(self, samples: Samples) -> tuple[float, float]:
        """Mean loss and score in evaluation mode, in which the network is left."""
        answered = self.predict(samples)
        return self.task.loss(answered, samples.y).item(), self._score(answered, samples)

    def _score(self, answered: Tensor, samples: Samples) -> float:
        return self.task.score(self.task.scored(answered, samples.y).item(), samples.y)

    def warm_up(self) -> None:
        """Compile where the recipe says so, and take a step of each batch size, undone afterwards, so that no trial's
        clock has what only the first steps of a shape cost."""
        x, y = self.train_samples.x, self.train_samples.y
        with self.compile_clock.running(), self._undone():
            if self.recipe.compile != "none":
                self.forward = torch.compile(self.network, mode=self.recipe.compile, dynamic=False)
            self.network.train()
            for size in set(self._batches().sizes):
                answered = outputs(self.forward, x[:size], self.recipe.precision)
                self.task.loss(answered, y[:size]).backward()  # type: ignore[no-untyped-call]

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """Put back weights, statistics, gradients and random state at the end."""
        state = self._weights()
        with torch.random.fork_rng(self._gpus):
            yield
        self.network.load_state_dict(state)
        self.optimizer.zero_grad()

    def _step(self, x: Tensor, y: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        answered = outputs(self.forward, x, self.recipe.precision)
        loss = self.task.loss(answered, y)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedule.step()
        return torch.stack([loss.detach() * len(y), self.task.scored(answered.detach(), y)])

    def _batches(self) -> Shuffled:
        return Shuffled(self.train_samples, self.recipe.batch_size, self.order)

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.network.state_dict().items()}

    @property
    def _gpus(self) -> list[torch.device]:
        return [self.setting.device] if self.setting.device.type == "cuda" else []

    def _take_snapshot(self) -> None:
        self._read_meter()
        self.snapshot = Snapshot(
            self._weights(),
            tuple(self.history),
            self.train_clock.seconds,
            self.compile_clock.seconds,
            self._flops(tested=False),
            self.usage,
        )
        if self.setting.meter:
            self.setting.meter.lap()  # counting operations is no part of the run

    def _read_meter(self) -> None:
        if self.setting.meter:
            lap = self.setting.meter.lap()
            self.usage = combined(self.usage, lap) if self.usage else lap

    def _flops(self, *, tested: bool) -> Flops | None:
        """All so far, with the test's where it was made; None where they are not known."""
        if not self.operations or not self.before.flops:
            return None
        own = self.operations.epoch * (len(self.history) - self.before.epoch)
        return self.before.flops + own + (self.operations.test if tested else NOTHING)

    @cached_property
    def operations(self) -> Operations | None:
        """What a step, an epoch and the test take; to be read once steps were taken."""
        batches, loss = self._batches(), self.task.loss
        return count_operations(self.network, self.optimizer, loss, batches, self.validation, self.test)

    def _latency(self) -> float:
        with autocast(self.setting.device, self.recipe.precision):
            return latency(self.network, self.validation.x[: self.recipe.batch_size], ROUNDS)
