"""The PyTorch half: the unit, its gates, networks of them, and what a trained one becomes."""

from mgu.hardening import Hardened
from mgu.torch.convert import Conversion, convert
from mgu.torch.explain import explain
from mgu.torch.export import load, read_card, save
from mgu.torch.flops import forward_flops, step_flops
from mgu.torch.fold import fold
from mgu.torch.gates import GATES, GatingUnit
from mgu.torch.harden import harden
from mgu.torch.latency import compare_latency, latency
from mgu.torch.log_gates import log_gates
from mgu.torch.network import build_network, count_weights, model_size
from mgu.torch.onnx_file import to_onnx
from mgu.torch.summary import summary
from mgu.torch.tune import fine_tune, sharpen
from mgu.torch.unit import ACTIVATIONS, OPERATIONS, ChainBlock, MultiGatedUnit
from mgu.torch.weights import load_weights, save_weights

__all__ = [
    "ACTIVATIONS",
    "GATES",
    "OPERATIONS",
    "ChainBlock",
    "Conversion",
    "GatingUnit",
    "Hardened",
    "MultiGatedUnit",
    "build_network",
    "compare_latency",
    "convert",
    "count_weights",
    "explain",
    "fine_tune",
    "fold",
    "forward_flops",
    "harden",
    "latency",
    "load",
    "load_weights",
    "log_gates",
    "model_size",
    "read_card",
    "save",
    "save_weights",
    "sharpen",
    "step_flops",
    "summary",
    "to_onnx",
]
