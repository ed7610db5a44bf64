"""What a training step of the Keras half costs on TensorFlow: the unit, the plain cells, and the unit as published.

All variants are stepped in turn, each as ``fit`` does it: one graph for the forward and backward pass and Nadam's
update. Printed are the median of the rounds in ms, and, against it, how many times as long the published unit takes:
the median over rounds of the ratio.

    python benchmarks/keras_steps.py [SUBJECT ...] [--rounds N] [--threads N] [--xla]
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras_literal import literally

from mgu.keras import ChainBlock, MultiGatedUnit, build_network
from mgu.spaces import Architecture, Cell, load_space
from mgu.training import Recipe
from mgu.wiring import cell_chain

WARM_UP = 3
PAPERS = {"gates": "replica", "bypass": "replica"}
PLAIN = ("bn_pre", "bn_pre+residual")
UNITS: Mapping[str, dict[str, Any]] = {
    "channel gates (default)": {},
    "squeeze gates": {"gates": "squeeze"},
    "replica gates and bypass": PAPERS,
}
LITERAL = "literally as in the paper"


def one_convolution(cell: Cell | None, **options: Any) -> keras.Sequential:
    """A unit around a convolution that changes positions and channels, and a readout."""
    layer = layers.Conv2D(32, 3)
    unit = MultiGatedUnit(layer, **options) if cell is None else ChainBlock(layer, cell_chain(cell.norm, cell.residual))
    return keras.Sequential([keras.Input((14, 14, 16)), unit, layers.GlobalAveragePooling2D(), layers.Dense(10)])


def mnist(cell: Cell | None, **options: Any) -> keras.Sequential:
    """The network of the paper's MNIST layout: four convolutions of 16 to 128 filters."""
    space = load_space("mnist")
    layout = space.mgu_layouts[0]
    architecture = Architecture(layout, cell, start_filters=space.start_filters, max_filters=space.max_filters)
    return build_network(architecture, space.input_shape, space.classes, **options)


#: What is timed: how a network of a cell, or of units with options, is made; and steps a round.
SUBJECTS: Mapping[str, tuple[Callable[..., keras.Sequential], int]] = {
    "one-convolution": (one_convolution, 10),
    "mnist": (mnist, 5),
}


def variants(make: Callable[..., keras.Sequential]) -> dict[str, keras.Sequential]:
    plain = {name: make(Cell.of(name)) for name in PLAIN}
    units = {name: make(None, **options) for name, options in UNITS.items()}
    return {**plain, **units, LITERAL: literally(make(None, **PAPERS))}


def stepper(network: keras.Sequential, xla: bool) -> Callable[[], None]:
    """A function that takes one training step on one batch of noise, by the function that ``fit`` runs."""
    network.compile("nadam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=xla)
    generator, batch = np.random.default_rng(0), Recipe().batch_size
    x = tf.constant(generator.normal(size=(batch, *network.input_shape[1:])), tf.float32)
    data = iter(tf.data.Dataset.from_tensors((x, generator.integers(0, 10, batch))).repeat())
    train = network.make_train_function() or network.train_function
    return lambda: train(data)


def seconds(steps: Mapping[str, Callable[[], None]], count: int, rounds: int) -> dict[str, list[float]]:
    """Seconds a step by variant, one entry a round."""
    for step in steps.values():
        for _ in range(WARM_UP):
            step()
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            begun = time.perf_counter()
            for _ in range(count):
                step()
            found[name].append((time.perf_counter() - begun) / count)
    return found


def report(name: str, rounds: int, xla: bool) -> None:
    keras.utils.set_random_seed(0)
    make, count = SUBJECTS[name]
    networks = variants(make)
    found = seconds({variant: stepper(network, xla) for variant, network in networks.items()}, count, rounds)
    print(f"\n{name}: batch {Recipe().batch_size}, {rounds} rounds of {count} steps{', compiled by XLA' * xla}")
    print(f"{'':28}{'weights':>13}{'ms a step':>11}{'published /':>13}", flush=True)
    for variant, network in networks.items():
        times = found[variant]
        ratio = statistics.median(a / b for a, b in zip(found[LITERAL], times, strict=True))
        print(f"{variant:28}{network.count_params():>13,}{1000 * statistics.median(times):>11.2f}{ratio:>13.2f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("subjects", nargs="*", help=f"of {', '.join(SUBJECTS)}; all of them by default")
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--threads", type=int, help="TensorFlow's threads")
    arguments.add_argument("--xla", action="store_true", help="compile the steps by XLA too")
    asked = arguments.parse_args()
    if unknown := set(asked.subjects) - set(SUBJECTS):
        arguments.error(f"unknown subjects: {', '.join(sorted(unknown))}; allowed: {', '.join(SUBJECTS)}")
    if asked.threads:
        tf.config.threading.set_intra_op_parallelism_threads(asked.threads)
        tf.config.threading.set_inter_op_parallelism_threads(asked.threads)
    print(f"tensorflow {tf.__version__}, keras {keras.__version__}, {len(os.sched_getaffinity(0))} cores")
    for name in asked.subjects or SUBJECTS:
        for xla in (False, True)[: 1 + asked.xla]:
            report(name, asked.rounds, xla)


if __name__ == "__main__":
    main()
