"""``explain`` and ``harden`` of either half on the same weights: the same numbers, decisions and plain networks."""

import math
from dataclasses import asdict

import keras
import numpy as np
import pytest
import torch
from torch.nn import functional as F

import keras_backend
from mgu import keras as keras_half
from mgu import torch as torch_half
from mgu.keras.explain import gate_means as keras_means
from mgu.layouts import Layout
from mgu.spaces import Architecture
from mgu.torch.explain import gate_means as torch_means

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
#: An input's shape, and options of the units.
NETWORKS = {
    "images": ((2, 9, 7), {"gates": "channel", "processors": ("rms_norm", "squeeze_excite")}),
    "features": ((6,), {"gates": "squeeze", "form": "equations", "bypass": "normed"}),
}


def randomised(network):
    """Give every weight and statistic a value that is not its start, so that no gate is like another."""
    torch.manual_seed(2)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.rand_like(value) + 0.5 if "running_var" in name else torch.randn_like(value) * 0.5)
    return network


def both(name, tmp_path):
    """A network of each half with the same weights, and labelled batches for each."""
    shape, options = NETWORKS[name]
    architecture = Architecture(Layout(2, 1, 2, math.inf, 1.5), dropout=0.2, start_filters=4)
    first = randomised(torch_half.build_network(architecture, shape, 3, **options))
    second = keras_half.build_network(architecture, shape, 3, **options)
    keras_half.load_weights(second, torch_half.save_weights(first, tmp_path / "weights"))
    generator = np.random.default_rng(0)
    samples = [(generator.normal(size=(8, *shape)).astype("float32"), np.arange(8) % 3) for _ in range(2)]
    of_torch = [(torch.from_numpy(x), torch.from_numpy(labels)) for x, labels in samples]
    return first, second, of_torch, [(np.moveaxis(x, 1, -1) if len(shape) > 1 else x, y) for x, y in samples]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_diagnosis_is_the_other_halfs(name, tmp_path):
    first, second, of_torch, of_keras = both(name, tmp_path)
    expected = torch_half.explain(first, of_torch)
    found = keras_half.explain(second, of_keras, LOSS)
    assert found.loss == pytest.approx(expected.loss, abs=1e-5)
    for unit, other in zip(found.units, expected.units, strict=True):
        assert (unit.name, unit.input_shape, unit.chain) == (other.name, other.input_shape, other.chain)
        for gate, like in zip(unit.gates, other.gates, strict=True):
            one, two = asdict(gate), asdict(like)
            assert sum(abs(a - b) for a, b in zip(one.pop("histogram"), two.pop("histogram"), strict=True)) <= 2
            assert [one.pop(key) for key in ("name", "open", "closed")] == [
                two.pop(key) for key in ("name", "open", "closed")
            ]
            assert one == pytest.approx(two, abs=1e-5)
    means = torch_means(first, of_torch[0][0])
    for unit, by_gate in keras_means(second, of_keras[0][0]).items():
        assert by_gate == pytest.approx(means[unit], abs=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_hardened_network_is_the_other_halfs(name, tmp_path):
    first, second, of_torch, of_keras = both(name, tmp_path)
    expected, found = torch_half.harden(first, of_torch, F.cross_entropy), keras_half.harden(second, of_keras, LOSS)
    assert [(d.unit, d.gate, d.side) for d in found.decisions] == [(d.unit, d.gate, d.side) for d in expected.decisions]
    for one, other in zip(found.decisions, expected.decisions, strict=True):
        assert (one.certainty, one.loss_change) == pytest.approx((other.certainty, other.loss_change), abs=1e-5)
    for figure in ("soft_loss", "hard_loss", "soft_acc", "hard_acc", "largest_difference", "tolerance"):
        assert getattr(found, figure) == pytest.approx(getattr(expected, figure), rel=1e-5, abs=1e-5), figure
    assert found.model.count_params() == torch_half.count_weights(expected.model)
    for (x, _), (same, _) in zip(of_torch, of_keras, strict=True):
        with torch.no_grad():
            outputs = expected.model(x).numpy()
        np.testing.assert_allclose(keras_backend.output(found.model, same), outputs, rtol=1e-4, atol=1e-5)
