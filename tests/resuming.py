"""Trainings that are stopped after any step and go on, on small data that any network learns from."""

import dataclasses

import numpy as np
import pytest
from timeless import timeless

from mgu.data import DataSet, Split
from mgu.layouts import Layout
from mgu.spaces import Architecture, Cell
from mgu.training import Recipe, fit
from mgu.training.checkpoints import Checkpoints

PLAIN = Architecture(Layout(2, 1, 2, 8, 2), Cell("bn_pre", False), start_filters=4)
MGU = Architecture(Layout(2, 1, 2, 8, 2), start_filters=4)
RECIPE = Recipe(epochs=6, batch_size=16, harden_after=0.3)


class Stopped(BaseException):
    pass


class Stopping(Checkpoints):
    """Keeps the state after each step, and stops the training after ``at`` of them."""

    due = True

    def __init__(self, folder, at=None):
        super().__init__(folder, "a trial")
        self.at, self.written = at, 0

    def keep(self, make):
        super().keep(make)
        self.written += 1
        if self.written == self.at:
            raise Stopped


def stripes(count, seed):
    """Images of two channels whose class is the direction of their stripes, with noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    stripe = np.tile((np.arange(8) % 4 < 2) * 60, (8, 1))
    images = np.where(y[:, None, None] == 0, stripe, stripe.T)[:, None] + rng.integers(0, 190, (count, 2, 8, 8))
    return Split(images.astype(np.uint8), y.astype(np.int64))


def small_data():
    return DataSet("stripes", stripes(72, 0), stripes(40, 1), stripes(40, 2), ("across", "down"), "0" * 64)


def outcome(fitted, arrays):
    """All of a result that is no time, and the weights of both networks, by a function that gives those of one."""
    networks = [fitted.network, *([fitted.hardened] if fitted.hardened is not None else [])]
    return timeless(dataclasses.asdict(fitted.result)), [arrays(network) for network in networks]


def same(found, expected):
    assert found[0] == expected[0]
    for one, other in zip(found[1], expected[1], strict=True):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def stopped_after_steps(architecture, folder, arrays, forget, of, **options):
    """Compare a training that is stopped once, after each step ``of`` so many in turn, with one that is not."""

    def train(**more):
        return outcome(fit(architecture, small_data(), RECIPE, seed=3, **options, **more), arrays)

    uninterrupted = Stopping(folder / "all")
    expected = train(keeper=uninterrupted)
    for at in of(uninterrupted.written):
        with pytest.raises(Stopped):
            train(keeper=Stopping(folder / str(at), at))
        forget()  # the state of random numbers is the checkpoint's
        same(train(keeper=Stopping(folder / str(at))), expected)
