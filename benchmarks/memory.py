"""The peak memory of training steps: what they need beside the weights and the batch.

That is all that lives at once: the gradients, Nadam's two moments, what the backward pass keeps, and what operations
need in passing. Each variant is a process of its own. On the CPU it is the process's peak of resident memory above that
before the first step, which the kernel is told to forget; a batch of two has warmed up the libraries before. On CUDA it
is torch's own count.
"""

import copy
import multiprocessing
import re
from pathlib import Path

import torch
from subjects import Network, build, stepper

from mgu.training import Recipe, flush_denormals

STEPS = 2  # the second finds the moments that the first made


def peak_mb(network: Network, variant: str, threads: int) -> float:
    """The peak memory of the first steps in MB (10^6 bytes); nan where the system does not say."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_mb, (network, variant, threads))


def _peak_mb(network: Network, variant: str, threads: int) -> float:
    torch.set_num_threads(threads)
    flush_denormals()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build(network, variant).to(device)
    stepper(copy.deepcopy(model), network, device, batch=2)()
    step = stepper(model, network, device, Recipe().batch_size)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        _repeat(step)
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        _repeat(step)
        return (_status("VmHWM") - before) / 1e3
    except OSError:
        return float("nan")


def _repeat(step):
    for _ in range(STEPS):
        step()


def _status(field: str) -> float:
    """A field of the process's status, in kB."""
    return float(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1.024
