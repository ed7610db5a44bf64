"""A PyTorch network that learns by a recipe."""

import copy
import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # the first optimizer would import it, on the first trial's clock
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from mgu.diagnosis import Diagnosis
from mgu.files import write_whole
from mgu.hardening import Hardened
from mgu.history import Decision, Flops
from mgu.spaces import Architecture
from mgu.torch import export
from mgu.torch.explain import explain, gate_means
from mgu.torch.flops import forward_flops
from mgu.torch.harden import compare, decide
from mgu.torch.latency import compare_latency, latency
from mgu.torch.network import build_network, count_weights
from mgu.training.epochs import Epochs, nothing
from mgu.training.learner import Learner, Loss, Setting, Weights
from mgu.training.operations import Operations, count_operations
from mgu.training.samples import Samples, Shuffled, autocast, outputs, predict


class TorchLearner:
    """A network with Nadam and its schedule, ``done`` epochs of which are behind it. See ``Learner``."""

    def __init__(self, network: nn.Module, setting: Setting, samples: Samples, done: int = 0) -> None:
        self.network, self.setting, self.samples = network, setting, samples
        self.task, self.recipe = setting.task, setting.recipe
        self.forward: Callable[[Tensor], Tensor] = network
        self.batches = Shuffled(samples, self.recipe.batch_size, torch.Generator().manual_seed(setting.seed))
        self.epochs = Epochs(self.batches, torch.zeros(2, device=setting.device))
        self.optimizer: torch.optim.Optimizer = torch.optim.NAdam(network.parameters(), lr=self.recipe.lr, eps=1e-7)
        steps = done * len(self.batches)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: 1 / (1 + self.recipe.step_decay * (steps + step))
        )

    @classmethod
    def built(
        cls,
        architecture: Architecture,
        input_shape: tuple[int, ...],
        unit: Mapping[str, Any],
        setting: Setting,
        samples: Samples,
    ) -> "TorchLearner":
        """A learner of an architecture's network, with fresh weights from the setting's seed."""
        torch.manual_seed(setting.seed)
        network = build_network(architecture, input_shape, setting.task.outputs, **unit)
        layout = torch.channels_last if len(input_shape) == 3 else torch.contiguous_format
        placed = network.to(setting.device).to(memory_format=layout)  # type: ignore[call-overload]
        return cls(placed, setting, samples)

    @property
    def size(self) -> int:
        return count_weights(self.network)

    def warm_up(self, *evaluated: Samples) -> None:
        """Compile where the recipe says so, and take a step of each batch size."""
        x, y = self.samples.x, self.samples.y
        with self._undone():
            if self.recipe.compile != "none":
                self.forward = torch.compile(self.network, mode=self.recipe.compile, dynamic=False)
            self.network.train()
            for size in set(self.batches.sizes):
                self._learn(x[:size], y[:size])

    def train(self, between: Callable[[], None] = nothing) -> tuple[float, float]:
        self.network.train()
        loss, scored = self.epochs.gone_through(self._step, between).tolist()
        return loss / len(self.samples), scored

    def predict(self, samples: Samples) -> Tensor:
        return predict(self.network.eval(), samples, self.recipe.precision)

    def weights(self) -> Weights:
        return {name: value.clone() for name, value in self.network.state_dict().items()}

    def restore(self, weights: Weights) -> None:
        self.network.load_state_dict(weights)

    def state(self) -> Weights:
        moments = self.optimizer.state_dict()["state"]
        state = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        state |= {f"optimizer.{i}.{name}": value for i, values in moments.items() for name, value in values.items()}
        state |= {"steps": torch.tensor(self.schedule.last_epoch), **self.epochs.state()}
        if self.setting.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.setting.device)
        return {**state, "random": torch.get_rng_state()}

    def resume(self, state: Weights) -> None:
        self.restore(_below("network.", state))
        self._resume_optimizer(_below("optimizer.", state), int(state["steps"]))
        self.epochs.resume(state)
        torch.set_rng_state(state["random"])
        if self.setting.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self.setting.device)

    def copied(self, weights: Weights) -> "TorchLearner":
        network = copy.deepcopy(self.network)
        network.load_state_dict(weights)
        return type(self)(network, self.setting, self.samples)

    def gate_means(self, samples: Samples) -> dict[str, dict[str, float]]:
        return gate_means(self.network, samples.x[:])

    def operations(self, validation: Samples, test: Samples) -> Operations | None:
        return count_operations(self.network, self.optimizer, self.task.loss, self.batches, validation, test)

    def forward_flops(self, samples: Samples) -> Flops:
        return forward_flops(self.network, samples.without_numbers)

    def latency_s(self, samples: Samples, rounds: int) -> float:
        with self._autocast():
            return latency(self.network, samples.x[:], rounds)

    def latencies_s(self, other: nn.Module, samples: Samples, rounds: int) -> tuple[float, float]:
        with self._autocast():
            found = compare_latency({"own": self.network, "other": other}, samples.x[:], rounds)
        return found["own"], found["other"]

    def hardened(
        self, samples: Samples, loss: Loss, as_opened: Collection[str], done: int
    ) -> tuple["TorchLearner", tuple[Decision, ...]]:
        with self._autocast():
            model, decisions = decide(self.network, list(samples.batches(len(samples))), loss, as_opened)
        torch.manual_seed(self.setting.seed)
        return type(self)(model, self.setting, self.samples, done), decisions

    def compared(
        self, hard: Learner, decisions: tuple[Decision, ...], samples: Samples, loss: Loss
    ) -> Hardened[nn.Module]:
        with self._autocast():
            return compare(self.network, hard.network, decisions, list(samples.batches(len(samples))), loss)

    def explained(self, samples: Samples, loss: Loss) -> Diagnosis:
        return explain(self.network, samples.batches(), loss)

    def save(self, folder: Path) -> None:
        """Write ``weights.safetensors`` and its SHA-256 beside it."""
        weights = {name: value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()}
        content = safetensors_bytes(weights)
        path = folder / "weights.safetensors"
        write_whole(path, content)
        write_whole(folder / "weights.sha256", f"{hashlib.sha256(content).hexdigest()}  {path.name}\n".encode())

    def save_plain(self, folder: Path, input_shape: Sequence[int], card: Mapping[str, Any]) -> None:
        export.save(self.network, folder, input_shape, card)

    def _resume_optimizer(self, moments: Weights, steps: int) -> None:
        """Moments have the layout in memory of what they belong to, as those that the optimizer makes."""
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in moments.items():
            index, _, name = key.partition(".")
            like = weights[int(index)]
            alike = torch.empty_like(like, device="cpu").copy_(value) if value.shape == like.shape else value
            state.setdefault(int(index), {})[name] = alike
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.schedule.last_epoch = steps
        for group, lr, share in zip(
            self.optimizer.param_groups, self.schedule.base_lrs, self.schedule.lr_lambdas, strict=True
        ):
            group["lr"] = lr * share(steps)

    def _step(self, x: Tensor, y: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        told = self._learn(x, y)
        self.optimizer.step()
        self.schedule.step()
        return told

    def _learn(self, x: Tensor, y: Tensor, weight: float = 1.0) -> Tensor:
        """Gradients of ``weight`` times the mean loss; the sums of the losses and of what the task scores."""
        answered = outputs(self.forward, x, self.recipe.precision)
        loss = self.task.loss(answered, y)
        (loss if weight == 1 else weight * loss).backward()  # type: ignore[no-untyped-call]
        return torch.stack([loss.detach() * len(y), self.task.scored(answered.detach(), y)])

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """Put back weights, statistics, gradients and random state at the end."""
        state = self.weights()
        with torch.random.fork_rng([self.setting.device] if self.setting.device.type == "cuda" else []):
            yield
        self.restore(state)
        self.optimizer.zero_grad()

    def _autocast(self) -> torch.autocast:
        return autocast(self.setting.device, self.recipe.precision)


def _below(prefix: str, state: Weights) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
