"""``harden`` on Keras networks: the plain network is the decided one, of Keras's own layers, and needs no mgu."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

import keras_backend
from keras_backend import to_numpy
from mgu.errors import InputError
from mgu.keras import ChainBlock, GatingUnit, MultiGatedUnit, explain, harden
from mgu.keras.harden import decide
from mgu.keras.plain import plain_model
from mgu.wiring import FORMS, cell_chain, cell_decision, form_chain, gates
from mgu.wiring import harden as harden_chain

LAYERS = {
    "dense": (lambda: layers.Dense(4), (3,)),
    "dense-rank3": (lambda: layers.Dense(4), (5, 3)),
    "dense-rank6": (lambda: layers.Dense(4), (2, 1, 2, 2, 3)),
    "conv1d": (lambda: layers.Conv1D(4, 3, padding="causal"), (7, 3)),
    "conv2d": (lambda: layers.Conv2D(4, 3, 2, "same"), (7, 6, 3)),
    "conv2d-first": (lambda: layers.Conv2D(4, 3, (2, 1), data_format="channels_first"), (3, 7, 6)),
    "depthwise": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (5, 4, 2)),
    "separable": (lambda: layers.SeparableConv1D(4, 3), (7, 3)),
    "conv3d": (lambda: layers.Conv3D(4, 2), (4, 3, 4, 3)),
}
PROCESSORS = ("rms_norm", "group_norm", "instance_norm", "squeeze_excite")
#: By name, the sides that gates are decided for; further processors are left out where they are not named.
DECISIONS = {
    **{f"{norm}-sum": cell_decision(norm, True) for norm in ("bn_pre", "bn_post", "ln", "no_norm")},
    "bypass": {**cell_decision("ln", False), "skip": "bypass"},
    **{
        norm: {**cell_decision("bn_pre", False), "norm": "with_instance_norm", f"with_{norm}": norm}
        for norm in PROCESSORS[:3]
    },
    "squeeze_excite": {**cell_decision("ln", True), "with_squeeze_excite": "squeeze_excite"},
}


def randomised(model, seed=0):
    """Give every weight and statistic a value that is not its start, so that no term can hide."""
    generator = np.random.default_rng(seed)
    model.set_weights([generator.uniform(0.2, 1.2, value.shape) for value in model.get_weights()])
    return model


def decide_all(unit, decision):
    """The unit's chain, in place, as the decision has it; a gate that it does not name passes its open side on."""
    sides = {gate.name: decision.get(gate.name, gate.open) for gate in gates(unit.chain)}
    sides = {
        gate.name: sides[gate.name] if sides[gate.name] in gate.inputs else gate.open for gate in gates(unit.chain)
    }
    unit.chain = harden_chain(unit.chain, sides)
    return tuple(op.kind for op in unit.chain)


def is_plain(model):
    return not any(type(layer).__module__.startswith("mgu") for layer in model._flatten_layers())


def assert_same(plain, model, x):
    assert is_plain(plain)
    assert plain.name == model.name
    np.testing.assert_allclose(keras_backend.output(plain, x), keras_backend.output(model, x), rtol=1e-5, atol=1e-5)


CASES = [(layer, decision) for layer in LAYERS for decision in DECISIONS]
if keras.backend.backend() != "tensorflow":  # each layer and each decision once
    CASES = list(zip([*LAYERS], [*DECISIONS], strict=True))


@pytest.mark.parametrize(("layer", "decision"), CASES)
def test_the_plain_network_is_the_decided_one(layer, decision):
    make, shape = LAYERS[layer]
    processors = PROCESSORS if len(shape) > 1 else ("rms_norm", "squeeze_excite")
    unit = MultiGatedUnit(make(), "leaky_relu", bypass="normed", processors=processors, name="unit")
    model = randomised(keras.Sequential([keras.Input(shape), unit]))
    kinds = decide_all(unit, DECISIONS[decision])
    assert decision not in (*processors, "bypass") or decision in kinds
    x = np.random.default_rng(1).normal(size=(3, *shape)).astype("float32")
    assert_same(plain_model(model), model, x)


@pytest.mark.parametrize("bypass", ["replica", "shortcut"])
@pytest.mark.parametrize("form", FORMS)
def test_bypasses_and_forms(form, bypass):
    unit = MultiGatedUnit(layers.Conv1D(4, 3, 2), form=form, bypass=bypass)
    model = randomised(keras.Sequential([keras.Input((None, 3)), unit]))
    decide_all(unit, cell_decision("ln", True))
    assert_same(plain_model(model), model, np.random.default_rng(1).normal(size=(3, 9, 3)).astype("float32"))


def test_networks_of_all_sorts_are_copied_with_their_weights_and_what_is_shared():
    generator = np.random.default_rng(0)
    shared = MultiGatedUnit(layers.Dense(4), layers.PReLU(), name="shared")
    cell = ChainBlock(layers.Dense(4), cell_chain("bn_pre", True), name="cell")
    normalized = layers.Normalization()
    normalized.adapt(generator.normal(3.0, 2.0, (50, 4)))
    first, second = keras.Input((4,), name="first"), keras.Input((5, 4), name="second")
    stem = keras.Sequential([keras.Input((4,)), normalized, shared, layers.Dropout(0.5)], name="stem")
    rows = layers.Bidirectional(layers.GRU(2), name="rows")(second)
    value = cell(shared(stem(first))) + 2 * rows
    model = keras.Model({"first": first, "second": second}, value, name="whole")
    statistics = [weight.path for weight in normalized.weights]
    kept = {weight.path: to_numpy(weight.value) for weight in model.weights if weight.path in statistics}
    randomised(model)
    for weight in normalized.weights:
        weight.assign(kept[weight.path])
    decide_all(shared, cell_decision("no_norm", False))
    x = {
        "first": generator.normal(size=(3, 4)).astype("float32"),
        "second": generator.normal(size=(3, 5, 4)).astype("float32"),
    }
    model.compile("sgd", lambda labels, outputs: 0 * outputs)  # which nobody can make again from a configuration
    plain = plain_model(model)
    assert is_plain(plain)
    assert not plain.compiled
    np.testing.assert_allclose(to_numpy(plain(x)), to_numpy(model(x)), rtol=1e-5, atol=1e-5)
    assert plain.get_layer("shared") is plain.get_layer("stem").get_layer("shared")
    assert {id(layer) for layer in plain._flatten_layers()}.isdisjoint(id(layer) for layer in model._flatten_layers())


def network(seed=0, name="network"):
    model = [
        keras.Input((3,)),
        MultiGatedUnit(layers.Dense(6), name="first"),
        MultiGatedUnit(layers.Dense(6), gates="squeeze", name="second"),
        layers.Dense(3, name="readout"),
    ]
    model = keras.Sequential(model, name=name)
    generator = np.random.default_rng(seed)
    model.set_weights([value + generator.normal(0, 0.5, value.shape) ** 2 for value in model.get_weights()])
    return model


def samples(count=2):
    generator = np.random.default_rng(1)
    return [(generator.normal(size=(9, 3)).astype("float32"), np.arange(9) % 3) for _ in range(count)]


def whole(batches):
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def cross_entropy(labels, outputs):
    logits = to_numpy(outputs).astype("float64")
    shifted = logits - logits.max(axis=1, keepdims=True)
    found = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -found[np.arange(len(labels)), np.ravel(labels)].mean()


LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def test_each_gate_takes_the_side_with_the_lower_loss_those_before_it_in_force():
    """The same search by brute force, with the gates' logits set to certainty instead of the chain cut."""
    model = network()
    _, decisions = decide(model, samples(), LOSS)
    x, labels = whole(samples())
    forced = {"first": {}, "second": {}}

    def loss_with(name, gate, side):
        unit = model.get_layer(name)
        own = MultiGatedUnit.gate_logits

        def gate_logits(x, training=None):
            values = forced[name] | {gate.name: 80.0 if side == gate.open else -80.0}
            found = {key: to_numpy(value) for key, value in own(unit, x, training).items()}
            return found | {key: np.full_like(found[key], value) for key, value in values.items()}

        unit.gate_logits = gate_logits
        return cross_entropy(labels, model(x))

    before = cross_entropy(labels, model(x))
    for decision in decisions:
        gate = next(gate for gate in gates(form_chain("code")) if gate.name == decision.gate)
        losses = {side: loss_with(decision.unit, gate, side) for side in gate.inputs}
        assert decision.side == min(losses, key=losses.get)
        assert decision.loss_change == pytest.approx(losses[decision.side] - before, abs=1e-5)
        before = loss_with(decision.unit, gate, decision.side)
        forced[decision.unit][gate.name] = 80.0 if decision.side == gate.open else -80.0
    certainties = [decision.certainty for decision in decisions]
    assert certainties == sorted(certainties, reverse=True)


def test_gates_that_are_decided_as_opened_heed_no_loss():
    model = network()
    found = explain(model, [x for x, _ in samples()])
    opened_for = {(unit.name, gate.name): gate.opened_for for unit in found.units for gate in unit.gates}
    by_loss = {(d.unit, d.gate): d.side for d in decide(model, samples(), LOSS)[1]}
    everywhere = {gate for _, gate in opened_for}
    as_opened = {(d.unit, d.gate): d.side for d in decide(model, samples(), LOSS, as_opened=everywhere)[1]}
    assert as_opened.items() <= opened_for.items()
    assert not by_loss.items() <= opened_for.items()


def test_figures_are_those_of_the_two_networks_and_the_soft_one_is_as_before():
    model, (x, labels) = network(), whole(samples())
    model.compile("adam", LOSS)
    before = model.get_weights()
    hardened = harden(model, samples())
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))
    assert [layer.chain for layer in model.layers[:2]] == [FORMS["code"]] * 2
    soft, hard = to_numpy(model(x)), to_numpy(hardened.model(x))
    assert hardened.soft_loss == pytest.approx(cross_entropy(labels, soft), abs=1e-5)
    assert hardened.hard_loss == pytest.approx(cross_entropy(labels, hard), abs=1e-5)
    assert hardened.soft_acc == pytest.approx((soft.argmax(1) == labels).mean())
    assert hardened.hard_acc == pytest.approx((hard.argmax(1) == labels).mean())
    assert hardened.largest_difference == pytest.approx(np.abs(soft - hard).max(), abs=1e-5)
    assert hardened.latency_batch == 9
    assert f"hard: accuracy {100 * hardened.hard_acc:.2f} %" in hardened.text()
    plain = hardened.model
    plain.compile("sgd", LOSS)
    plain.fit(x, labels, verbose=0)  # it trains on, and the soft one is not touched
    assert not np.array_equal(to_numpy(plain(x)), hard)
    np.testing.assert_array_equal(to_numpy(model(x)), soft)


@pytest.mark.parametrize(
    ("labels", "loss", "accurate"),
    [
        (lambda y: y[:, None], LOSS, True),
        (lambda y: np.eye(3)[y], keras.losses.CategoricalCrossentropy(from_logits=True), True),
        (lambda y: np.stack([y, y, y], axis=1) / 2, "mse", False),
    ],
    ids=["a column", "one-hot", "quantities"],
)
def test_accuracy_is_of_classes_however_they_are_written(labels, loss, accurate):
    model, (x, y) = network(), whole(samples())
    hardened = harden(model, [(x, labels(y))], loss)
    expected = (to_numpy(hardened.model(x)).argmax(axis=1) == y).mean()
    assert hardened.hard_acc == (pytest.approx(expected) if accurate else None)


def test_the_saved_network_is_loaded_where_mgu_cannot_be_imported(tmp_path):
    blocks = [
        MultiGatedUnit(layers.Conv2D(4, 3, padding="same"), processors=PROCESSORS, name="first"),
        MultiGatedUnit(layers.Conv2D(4, 3, 2), "leaky_relu", bypass="normed", processors=PROCESSORS, name="second"),
        MultiGatedUnit(layers.Dense(4), "gelu", bypass="replica", processors=PROCESSORS, name="third"),
    ]
    tail = [layers.GlobalAveragePooling2D(), layers.Dense(3)]
    model = randomised(keras.Sequential([keras.Input((7, 6, 2)), *blocks, *tail]))
    for unit, norm in zip(blocks, PROCESSORS, strict=False):
        decide_all(unit, {**DECISIONS[norm], "residual": "sum", "with_squeeze_excite": "squeeze_excite"})
    x = np.random.default_rng(0).normal(size=(3, 7, 6, 2)).astype("float32")
    plain_model(model).save(tmp_path / "plain.keras")
    np.savez(tmp_path / "sample.npz", x=x, y=to_numpy(model(x)))
    script = """
import sys

class Refusing:
    def find_spec(self, name, *rest):
        if name.split(".")[0] == "mgu":
            raise ImportError(name)

sys.meta_path.insert(0, Refusing())
import keras
import numpy as np
sample = np.load("sample.npz")
found = keras.ops.convert_to_numpy(keras.saving.load_model("plain.keras")(sample["x"]))
np.testing.assert_allclose(found, sample["y"], rtol=1e-5, atol=1e-5)
assert not any(name.split(".")[0] == "mgu" for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


def test_what_hardening_needs_is_named():
    with pytest.raises(InputError, match=r"batches of \(x, labels\)"):
        harden(network(), [], LOSS)
    with pytest.raises(InputError, match=r"batches of \(x, labels\)"):
        harden(network(), [samples(1)[0][0]], LOSS)
    with pytest.raises(InputError, match="compile the model with one, or give it"):
        harden(network(), samples())
    with pytest.raises(InputError, match="Sequential has no MultiGatedUnit"):
        harden(keras.Sequential([keras.Input((3,)), layers.Dense(3)]), samples(), LOSS)
    with pytest.raises(InputError, match="MultiGatedUnit is neither a functional model nor a Sequential one"):
        harden(MultiGatedUnit(layers.Dense(3)), samples(), LOSS)


class Own(layers.Layer):
    """A layer of one's own that holds a unit."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = MultiGatedUnit(layers.Dense(3))

    def call(self, x):
        return self.inner(x)


class NotAgain(layers.Layer):
    def __init__(self, factor, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: Own(name="own")(x), "own is or holds a MultiGatedUnit"),
        (lambda x: GatingUnit(layers.Dense(3), name="gate")(x, x, x), "gate is or holds a GatingUnit"),
        (lambda x: NotAgain(np.ones(2), name="odd")(x), "odd, NotAgain, cannot be made again"),
        (lambda x: ChainBlock(layers.Dense(3), cell_chain("sn", False))(x), "SwitchableNorm, which no layer of Keras"),
    ],
    ids=["own", "gate", "configuration", "switchable"],
)
def test_what_has_no_plain_form_is_named(make, message):
    inputs = keras.Input((3,))
    with pytest.raises(InputError, match=message):
        plain_model(keras.Model(inputs, make(inputs)))
