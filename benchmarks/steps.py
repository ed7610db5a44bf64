"""What a training step costs, in time and memory: the plain cells, the unit in its variants, and the unit as published.

All variants of a network are stepped in turn, so that a change of the machine's speed meets all of them alike. Printed
are the median of the rounds in ms, the median over rounds of the ratio to the plain cell with batch norm and residual,
the same for the compiled networks (against the same cell compiled), and the peak memory (see memory.py); and below, the
machine's two ceilings, and how close the unit's element-wise tail comes to them (see tail.py).

    python benchmarks/steps.py [NETWORK ...] [--eager-only] [--rounds N] [--threads N]
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping

import torch
from ceilings import LARGE, copy_bandwidth, multiply_adds
from memory import peak_mb
from subjects import BASE, NETWORKS, Network, build, stepper
from tail import MOVED, tail_time

from mgu.torch import count_weights
from mgu.training import Recipe, flush_denormals

WARM_UP = 3
IDLE = 0.5  # processes waiting, of others, a core


def seconds(steps: Mapping[str, Callable[[], None]], network: Network, rounds: int) -> dict[str, list[float]]:
    """Seconds a step by variant, one entry a round."""
    for step in steps.values():
        for _ in range(min(WARM_UP, rounds)):
            step()
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            synchronize()
            begun = time.perf_counter()
            for _ in range(network.steps):
                step()
            synchronize()
            found[name].append((time.perf_counter() - begun) / network.steps)
    return found


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measured(network: Network, device: torch.device, rounds: int, compiled: bool) -> dict[str, tuple[float, float]]:
    """Median ms a step, and ratio to the base, by variant."""
    torch.manual_seed(0)
    steps = {}
    for variant in network.variants:
        model = build(network, variant).to(device)
        made = torch.compile(model, dynamic=False) if compiled else model
        steps[variant] = stepper(made, network, device, Recipe().batch_size)
    found = seconds(steps, network, rounds)
    return {
        name: (
            1000 * statistics.median(times),
            statistics.median(a / b for a, b in zip(times, found[BASE], strict=True)),
        )
        for name, times in found.items()
    }


def report(name: str, network: Network, device: torch.device, rounds: int, compiled: bool) -> None:
    title = f"{name}: {network.shape} to {network.classes} classes, batch {Recipe().batch_size}, {rounds} rounds"
    print(f"\n{title}", flush=True)
    eager = measured(network, device, rounds, compiled=False)
    faster = measured(network, device, rounds, compiled=True) if compiled else {}
    print(f"{'':28}{'weights':>13}{'ms a step':>11}{'ratio':>7}{'compiled':>11}{'ratio':>7}{'peak MB':>10}")
    for variant in network.variants:
        weights = count_weights(build(network, variant))
        columns = [f"{ms:>11.2f}{ratio:>7.2f}" for ms, ratio in (eager[variant], *[faster.get(variant)] * compiled)]
        peak = peak_mb(network, variant, torch.get_num_threads())
        print(f"{variant:28}{weights:>13,}{''.join(columns):36}{peak:>10.1f}", flush=True)
    for kind in MOVED:
        tail = tail_time(network, kind, device)
        print(
            f"tail with {kind} gates: {1000 * tail.seconds:.2f} ms a step; moving {tail.moved / 1e6:.1f} MB takes "
            f"{1000 * tail.limit_s:.2f} ms: {tail.seconds / tail.limit_s:.1f} times the limit"
        )


def ceilings(device: torch.device) -> None:
    print(f"copy of {4 * LARGE / 1e6:.0f} MB: {copy_bandwidth(LARGE, device) / 1e9:.1f} GB/s read and written")
    print(f"float32 multiply-adds: {multiply_adds(device) / 1e9:.1f} 10^9 a second")


def note_of_load() -> str:
    """A warning where other processes are at work; empty where the machine is idle or does not say."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    busy = load > IDLE * (os.cpu_count() or 1)
    return f"NOTE: the machine is not idle (load {load:.1f}); only the ratios mean anything\n" if busy else ""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("networks", nargs="*", help=f"of {', '.join(NETWORKS)}; all of them by default")
    arguments.add_argument("--eager-only", action="store_true", help="compile nothing (compiling takes minutes)")
    arguments.add_argument("--rounds", type=int, help="rounds of each network, instead of its own number")
    arguments.add_argument("--threads", type=int, help="torch's threads")
    asked = arguments.parse_args()
    if unknown := set(asked.networks) - set(NETWORKS):
        arguments.error(f"unknown networks: {', '.join(sorted(unknown))}; allowed: {', '.join(NETWORKS)}")
    if asked.threads:
        torch.set_num_threads(asked.threads)
    flush_denormals()
    torch._dynamo.config.recompile_limit = 64  # each network's graphs count against one limit
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{note_of_load()}torch {torch.__version__}, {device}, {torch.get_num_threads()} threads")
    ceilings(device)
    for name in asked.networks or NETWORKS:
        network = NETWORKS[name]
        report(name, network, device, asked.rounds or network.rounds, network.compiled and not asked.eager_only)


if __name__ == "__main__":
    main()
