"""What is timed: the networks, each in the plain cells and in the unit's variants, and one training step with each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from literal import literally
from torch import nn
from torch.nn import functional as F

from mgu.spaces import Architecture, Cell, load_space
from mgu.torch import GATES, build_network
from mgu.training import Recipe

BASE = "bn_pre+residual"
CELLS = ("bn_pre", BASE, "ln", "no_norm")


@dataclass(frozen=True)
class Network:
    """The layout of a space's MGU network, how many rounds of how many steps it is timed, whether compiled too, and
    whether in all variants: a replica for each gate of 15 layers would need 13 GB."""

    space: str
    rounds: int
    steps: int
    compiled: bool
    all_variants: bool = True

    @property
    def variants(self) -> tuple[str, ...]:
        return VARIANTS if self.all_variants else tuple(v for v in VARIANTS if v in CELLS or v in CHEAP)

    @property
    def shape(self) -> tuple[int, ...]:
        return load_space(self.space).input_shape

    @property
    def classes(self) -> int:
        return load_space(self.space).classes

    def architecture(self) -> Architecture:
        models = load_space(self.space).models().values()
        return next(architecture for architecture in models if architecture.cell is None)


_SEVEN_LAYERS = str(Path(__file__).parents[1] / "experiments" / "cifar10-7-layers.toml")
NETWORKS = {
    "mnist": Network("mnist", rounds=15, steps=5, compiled=True),
    "mlp": Network("table", rounds=30, steps=20, compiled=True),
    "cifar10-7": Network(_SEVEN_LAYERS, rounds=3, steps=1, compiled=False),
    "cifar10-15": Network("cifar10", rounds=2, steps=1, compiled=False, all_variants=False),
}

#: The unit's variants by name: its options.
UNITS = {
    **{f"{kind} gates" + " (default)" * (kind == "channel"): {"gates": kind} for kind in GATES},
    "replica gates and bypass": {"gates": "replica", "bypass": "replica"},
}
CHEAP = ("channel gates (default)", "squeeze gates")
LITERAL = "literally as in the paper"
VARIANTS = (*CELLS, *UNITS, LITERAL)


def build(network: Network, variant: str) -> nn.Module:
    """A variant of a network with fresh weights, its convolutions' channels last in memory."""
    architecture = network.architecture()
    if variant in CELLS:
        made = build_network(replace(architecture, cell=Cell.of(variant)), network.shape, network.classes)
    else:
        options = UNITS.get(variant, UNITS["replica gates and bypass"])
        made = build_network(architecture, network.shape, network.classes, **options)
    return (literally(made) if variant == LITERAL else made).to(memory_format=torch.channels_last)


def stepper(model: nn.Module, network: Network, device: torch.device, batch: int) -> Callable[[], None]:
    """A function that takes one training step: forward, backward, Nadam."""
    optimizer = torch.optim.NAdam(model.parameters(), lr=Recipe().lr, eps=1e-7)
    x, y = torch.randn(batch, *network.shape), torch.randint(network.classes, (batch,))
    x, y = (x.to(memory_format=torch.channels_last) if x.ndim == 4 else x).to(device), y.to(device)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step
