"""``convert`` on models that nobody here wrote: those of transformers, and of timm where it can be imported."""

import copy
import importlib

import pytest
import torch
from torch.nn import functional as F

from mgu.torch import MultiGatedUnit, convert, harden
from mgu.torch.harden import decide
from others import TRANSFORMERS, lived_in, of_transformers


def imported(name):
    """The library. What it needs besides may be missing, or not fit the build of torch."""
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{name} cannot be imported: {error}")


def made(name, **settings):
    transformers = imported("transformers")
    torch.manual_seed(0)
    return of_transformers(transformers, name, **settings)


def in_float64(model, batch):
    return model.double(), {key: x.double() if x.is_floating_point() else x for key, x in batch.items()}


def answers(model, batch, training=False):
    with torch.no_grad(), torch.random.fork_rng():
        return copy.deepcopy(model).train(training)(**batch).logits


def units(model):
    return [module for module in model.modules() if isinstance(module, MultiGatedUnit)]


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_converted_model_is_the_same_function(name):
    model, batch = in_float64(*made(name, samples=8))
    converted = convert(model, batch)
    assert len(units(converted.model)) == len(converted.converted) > 0
    for training, shown in ((False, converted.largest_difference), (True, converted.training_difference)):
        expected, found = (answers(either, batch, training) for either in (model, converted.model))
        if training and name in ("Bert", "EfficientNet"):
            assert shown < 1e-10  # without dropout
        else:
            assert expected.std(0).max() > 1e-3
            torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)
            assert shown == pytest.approx((found - expected).abs().max().item(), abs=1e-10)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_in_float32_the_difference_is_rounding(name):
    model, batch = made(name)
    assert convert(model, batch).largest_difference <= 1e-5 * answers(model, batch).abs().max()


CONVOLUTIONS = {"ResNet": 8, "MobileNetV1": 27, "MobileNetV2": 52}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_all_convolutions_of_plain_networks_become_units_and_the_classifier_stays(name):
    model, batch = made(name)
    converted = convert(model, batch)
    assert len(converted.converted) == CONVOLUTIONS[name]
    ((last, reason),) = converted.left.items()
    assert last.startswith("classifier")
    assert reason.startswith("the end of ")


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("ConvNext", {"LN(Conv2d)": 4, "GELUActivation(Linear)": 3}),
        ("ViT", {"GELUActivation(Linear)": 2}),
        ("Bert", {"GELUActivation(Linear)": 2, "Tanh(Linear)": 1}),
    ],
)
def test_the_groups_of_transformers_and_convnexts(name, groups):
    converted = convert(*made(name)).converted
    assert {group: list(converted.values()).count(group) for group in converted.values()} == groups


#: Which layers are hardened: each gate costs two passes.
HARDENED = {**dict.fromkeys(TRANSFORMERS, "*"), "MobileNetV1": "*.layer.1.*", "MobileNetV2": "*.layer.1.*"}
HARDENED["EfficientNet"] = "*.blocks.1.*"


@pytest.mark.parametrize("name", HARDENED)
def test_it_trains_and_hardened_it_is_plain(name):
    model, batch = made(name)
    (x,) = batch.values()
    labels = torch.arange(len(x)) % 5
    soft = convert(model, batch, only=HARDENED[name]).model
    before = soft(**batch, labels=labels).loss.item()
    optimizer = torch.optim.SGD(soft.parameters(), lr=1e-3)
    for _ in range(4):
        optimizer.zero_grad()
        soft(**batch, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(soft.parameters(), 1.0)
        optimizer.step()
    assert soft(**batch, labels=labels).loss.item() < before
    hardened = harden(soft, [(x, labels)], lambda output, labels: F.cross_entropy(output.logits, labels))
    plain = hardened.model
    assert not units(plain)
    again = copy.deepcopy(plain)
    again.load_state_dict(plain.state_dict())
    torch.testing.assert_close(again(**batch).logits, plain(**batch).logits)
    expected = (plain(x).logits - soft(x).logits).abs().max().item()
    assert hardened.largest_difference == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert hardened.soft_acc == (soft(x).logits.argmax(1) == labels).float().mean()


@pytest.mark.parametrize("name", HARDENED)
def test_hardened_as_its_gates_are_it_is_the_model_again(name):
    model, batch = in_float64(*made(name))
    (x,) = batch.values()
    soft = convert(model, batch, only=HARDENED[name]).model
    gates = {gate for unit in units(soft) for gate in unit.gate_names}
    samples = [(x, torch.zeros(len(x), dtype=torch.long))]
    plain, _ = decide(soft, samples, lambda output, labels: output.logits.sum() * 0, as_opened=gates)
    assert not units(plain)
    torch.testing.assert_close(answers(plain, batch), answers(model, batch), atol=1e-10, rtol=1e-10)


def test_a_converted_model_recomputes_activations_as_the_model_would():
    model, batch = in_float64(*made("ViT"))
    soft = convert(model, batch).model.train()
    losses = {}
    for recomputes in (False, True):
        if recomputes:
            newer = hasattr(soft, "activation_checkpointing_enable")
            (soft.activation_checkpointing_enable if newer else soft.gradient_checkpointing_enable)()
        soft.zero_grad()
        soft(**batch, labels=torch.arange(4)).loss.backward()
        losses[recomputes] = [parameter.grad.clone() for parameter in soft.parameters() if parameter.grad is not None]
    torch.testing.assert_close(losses[True], losses[False])


def test_randomly_left_out_branches_are_drawn_alike():
    model, batch = in_float64(*made("ConvNext", samples=16, drop_path_rate=0.5))
    converted = convert(model, batch)
    assert converted.training_difference < 1e-10
    expected, found = (answers(either, batch, training=True) for either in (model, converted.model))
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)
    assert (found - answers(model, batch)).abs().max() > 0.01


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "efficientnet_lite0", "regnetx_002"])
def test_timm_models(name):
    timm = imported("timm")
    torch.manual_seed(0)
    model, batch = in_float64(lived_in(timm.create_model(name)), {"x": torch.randn(2, 3, 64, 64)})
    converted = convert(model, batch)
    assert len(converted.converted) >= len(converted.left)
    assert max(converted.largest_difference, converted.training_difference) < 1e-9
