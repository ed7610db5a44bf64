"""A PyTorch network that learns in several processes at once, each on its share of every batch."""

import math
from collections.abc import Callable, Collection

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mgu.errors import InputError
from mgu.history import Decision
from mgu.torch.fused import available, why_not
from mgu.torch.one_batch import OneBatch, Share
from mgu.training.epochs import nothing
from mgu.training.learner import Loss, Setting
from mgu.training.samples import Samples
from mgu.training.torch_learner import TorchLearner


class ParallelLearner(TorchLearner):
    """As ``TorchLearner``, with the same steps, whatever the number of processes: the order of samples, the batches,
    batch norm's statistics and the masks of dropout are those of one, and so are the results up to rounding.

    All processes hold the network and all samples. Each works out its share of a batch, of at least one sample, and
    ``DistributedDataParallel`` adds the gradients up. The first decides the gates and measures latencies. Raises
    InputError where a batch has fewer samples than there are processes, and for compiled networks.
    """

    def __init__(self, network: nn.Module, setting: Setting, samples: Samples, done: int = 0) -> None:
        super().__init__(network, setting, samples, done)
        self.world = setting.world
        least = min(self.batches.sizes)
        if least < self.world.size:
            raise InputError(
                f"{len(samples)} training samples in batches of {self.recipe.batch_size} leave one of {least}, and "
                f"each of {self.world.size} processes needs a sample of every batch; choose another batch size "
                "(--batch-size), or start fewer processes"
            )
        if self.recipe.compile != "none":
            raise InputError(
                f"compile {self.recipe.compile!r} was given; a network that several processes train is not compiled: "
                "leave it out"
            )

    def warm_up(self, *evaluated: Samples) -> None:
        if self.world.total([available()])[0] not in (0, self.world.size):
            raise InputError(
                "the compiled kernel can be used by some of the processes alone, which would talk at other points; "
                f"this one: {why_not() or 'yes'}. Install a C compiler on all machines, or on none"
            )
        if few := [len(samples) for samples in evaluated if len(samples) < self.world.size]:
            raise InputError(
                f"a split of {few[0]} samples is too small for {self.world.size} processes, each of which answers for "
                "a part of it; start fewer"
            )
        together = DistributedDataParallel(self.network)
        together.require_forward_param_sync = False  # running statistics are the same in all processes as it is
        self.forward = together
        super().warm_up(*evaluated)

    def train(self, between: Callable[[], None] = nothing) -> tuple[float, float]:
        loss, scored = self.world.total(super().train(between))
        return loss, scored

    def predict(self, samples: Samples) -> Tensor:
        """Each process answers for a share of the samples; all have all answers."""
        count = self.world.size
        shares = [Share.of(len(samples), rank, count) for rank in range(count)]
        own = super().predict(samples.part(shares[self.world.rank].rows))
        longest = own.new_zeros(math.ceil(len(samples) / count), self.task.outputs)
        longest[: len(own)] = own
        gathered = [torch.empty_like(longest) for _ in shares]
        dist.all_gather(gathered, longest)
        return torch.cat([answers[: len(share)] for answers, share in zip(gathered, shares, strict=True)])

    def latency_s(self, samples: Samples, rounds: int) -> float:
        measure = super().latency_s
        return self.world.say(lambda: measure(samples, rounds))

    def latencies_s(self, other: nn.Module, samples: Samples, rounds: int) -> tuple[float, float]:
        measure = super().latencies_s
        return self.world.say(lambda: measure(other, samples, rounds))

    def hardened(
        self, samples: Samples, loss: Loss, as_opened: Collection[str], done: int
    ) -> tuple["TorchLearner", tuple[Decision, ...]]:
        """The gates are decided by the losses that the first process finds."""

        def of_the_first(outputs: Tensor, y: Tensor) -> Tensor:
            return torch.tensor(self.world.say(lambda: loss(outputs, y).item()))

        learner, own = super().hardened(samples, of_the_first, as_opened, done)
        decisions = self.world.say(lambda: own)
        if [(d.unit, d.gate, d.side) for d in own] != [(d.unit, d.gate, d.side) for d in decisions]:
            raise RuntimeError("the processes do not decide the gates alike; use machines of one kind")
        return learner, decisions

    def _learn(self, x: Tensor, y: Tensor, weight: float = 1.0) -> Tensor:
        """Gradients are the mean over the processes, of losses that are weighted by the sizes of the shares."""
        share = Share.of(len(y), self.world.rank, self.world.size)
        with OneBatch(share):
            return super()._learn(x[share.rows], y[share.rows], len(share) * self.world.size / len(y))
