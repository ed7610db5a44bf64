"""The PyTorch half: the unit, its gates, and networks of them."""

from mgu.torch.explain import explain
from mgu.torch.gates import GATES, GatingUnit
from mgu.torch.harden import Hardened, harden
from mgu.torch.network import build_network, count_weights, model_size
from mgu.torch.unit import ACTIVATIONS, OPERATIONS, ChainBlock, MultiGatedUnit

__all__ = [
    "ACTIVATIONS",
    "GATES",
    "OPERATIONS",
    "ChainBlock",
    "GatingUnit",
    "Hardened",
    "MultiGatedUnit",
    "build_network",
    "count_weights",
    "explain",
    "harden",
    "model_size",
]
