"""The Keras half: the unit, its gates and networks of them on TensorFlow, JAX and PyTorch, by ``keras.ops`` alone."""

from mgu.keras.backend import with_remedy

with with_remedy():
    import keras  # noqa: F401

from mgu.hardening import Hardened
from mgu.keras.callbacks import GateHistory, GateWarning
from mgu.keras.explain import explain
from mgu.keras.gates import GATES, GatingUnit
from mgu.keras.harden import harden
from mgu.keras.latency import compare_latency
from mgu.keras.network import build_network
from mgu.keras.summary import summary
from mgu.keras.unit import ACTIVATIONS, OPERATIONS, ChainBlock, MultiGatedUnit
from mgu.keras.weights import load_weights, save_weights

__all__ = [
    "ACTIVATIONS",
    "GATES",
    "OPERATIONS",
    "ChainBlock",
    "GateHistory",
    "GateWarning",
    "GatingUnit",
    "Hardened",
    "MultiGatedUnit",
    "build_network",
    "compare_latency",
    "explain",
    "harden",
    "load_weights",
    "save_weights",
    "summary",
]
