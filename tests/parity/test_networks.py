"""Whole networks of either half with the same weights: the grid's cells and the MGU network."""

import itertools
import math

import keras
import numpy as np
import pytest
import torch

import keras_backend
from mgu import keras as keras_half
from mgu import torch as torch_half
from mgu.layouts import Layout
from mgu.spaces import Architecture, Cell
from mgu.wiring import CELL_NORMS

SHAPES = {"images": (2, 11, 13), "features": (7,)}
CELLS = [Cell(norm, residual) for norm in CELL_NORMS for residual in (False, True)]


#: JAX compiles for every shape: each cell with one of the two.
CASES = list(itertools.product([None, *CELLS], SHAPES))
CASES = [case for i, case in enumerate(CASES) if i % 4 in (0, 3)] if keras.backend.backend() == "jax" else CASES


@pytest.mark.parametrize(("cell", "shape"), CASES, ids=str)
def test_a_network_is_the_other_halfs(cell, shape, tmp_path):
    shape = SHAPES[shape]
    architecture = Architecture(Layout(3, 1, 2, math.inf, 1.5), cell, dropout=0.0, start_filters=4)
    first, second = (half.build_network(architecture, shape, 5) for half in (torch_half, keras_half))
    assert second.count_params() == torch_half.count_weights(first)
    keras_half.save_weights(second, tmp_path / "weights")
    torch_half.load_weights(first, tmp_path / "weights")
    x = np.random.default_rng(0).normal(size=(6, *shape)).astype("float32")
    order = np.moveaxis(x, 1, -1) if len(shape) > 1 else x
    for training in (True, False):  # statistics that moved are met in evaluation
        with torch.no_grad():
            expected = first.train(training)(torch.from_numpy(x)).numpy()
        found = keras_backend.output(second, order, training)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_after_the_same_steps_of_training_evaluation_is_the_same(data_format, tmp_path):
    architecture = Architecture(Layout(2, 1, 2, math.inf, 2), dropout=0.0, start_filters=4)
    first = torch_half.build_network(architecture, (2, 9, 7), 3)
    second = keras_half.build_network(architecture, (2, 9, 7), 3, data_format=data_format)
    torch_half.save_weights(first, tmp_path / "weights")
    keras_half.load_weights(second, tmp_path / "weights")
    optimizer, generator = torch.optim.SGD(first.parameters(), lr=0.05), np.random.default_rng(0)
    for _ in range(5):
        x = generator.normal(size=(8, 2, 9, 7)).astype("float32")
        optimizer.zero_grad()
        output = first(torch.from_numpy(x))
        cotangent = np.full(output.shape, 0.1, "float32")
        (output * torch.from_numpy(cotangent)).sum().backward()
        optimizer.step()
        order = np.moveaxis(x, 1, -1) if data_format == "channels_last" else x
        _, (_, *of_weights) = keras_backend.gradients(second, order, cotangent, training=True)
        for variable, gradient in zip(second.trainable_variables, of_weights, strict=True):
            variable.assign(keras_backend.to_numpy(variable.value) - 0.05 * gradient)
    keras_half.save_weights(second, tmp_path / "trained")
    third = torch_half.build_network(architecture, (2, 9, 7), 3).eval()
    torch_half.load_weights(third, tmp_path / "trained")
    with torch.no_grad():
        expected, found = first.eval()(torch.from_numpy(x)), third(torch.from_numpy(x))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    for name, value in first.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(third.state_dict()[name], value, rtol=1e-3, atol=1e-4)
