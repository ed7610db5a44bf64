"""``convert`` where models do more than to call each layer once: shared, frozen, wrapped, watched, recomputed."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from mgu.errors import InputError
from mgu.torch import MultiGatedUnit, convert, harden, summary
from mgu.torch.harden import decide
from others import lived_in


class Model(nn.Module):
    """Modules by name, and a function of them and the input for a forward."""

    def __init__(self, run, **modules):
        super().__init__()
        self.run = run
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.run(self, x)


def block():
    return nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())


def same(model, x):
    """The conversion, checked to be the same function in both modes."""
    torch.manual_seed(0)
    model = lived_in(model)
    converted = convert(model, x)
    for training in (False, True):
        with torch.no_grad(), torch.random.fork_rng():
            expected = copy.deepcopy(model).train(training)(x)
        with torch.no_grad():
            found = copy.deepcopy(converted.model).train(training)(x)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    return converted


def aliases():
    layers = block()
    return Model(
        lambda self, x: self.act(self.norm(self.first(x))),
        layers=layers,
        first=layers[0],
        norm=layers[1],
        act=nn.ReLU(),
    )


def beside():
    return Model(lambda self, x: self.inner(x) + self.inner.norm(self.inner.first(x)), inner=aliases())


def iterated():
    def run(self, x):
        for module in self.layers:
            x = module(x)
        return x

    return Model(run, layers=nn.Sequential(*block(), *block()))


def twice():
    one = block()
    return Model(lambda self, x: self.b(self.a(x)), a=one, b=one)


CALLS = {
    "by another name": (aliases, {"layers.0": "ReLU(BN(Conv2d))"}, {}),
    "in two forwards": (beside, {}, {"inner.layers.0": "called 2 times in several forwards"}),
    "one by one": (iterated, {"layers.0": "ReLU(BN(Conv2d))", "layers.3": "ReLU(BN(Conv2d))"}, {}),
    "in a block called twice": (twice, {"a.0": "ReLU(BN(Conv2d))"}, {}),
    "recomputed": (
        lambda: Model(lambda self, x: checkpoint(self.block, x, use_reentrant=False), block=block()),
        {"block.0": "ReLU(BN(Conv2d))"},
        {},
    ),
    "with weight norm": (
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3)), nn.BatchNorm2d(4)),
        {"0": "BN(ParametrizedConv2d)"},
        {},
    ),
    "with spectral norm": (
        lambda: nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 4, 3)), nn.BatchNorm2d(4)).train(),
        {"0": "BN(ParametrizedConv2d)"},
        {},
    ),
    "past its hooks": (
        lambda: Model(lambda self, x: self.norm(self.conv.forward(x)), conv=nn.Conv2d(4, 4, 3), norm=nn.BatchNorm2d(4)),
        {},
        {"conv": "its forward is called directly, past its hooks"},
    ),
    "by keyword": (
        lambda: Model(lambda self, x: self.norm(self.conv(input=x)), conv=nn.Conv2d(4, 4, 3), norm=nn.BatchNorm2d(4)),
        {},
        {"conv": "its input is given by name"},
    ),
}


@pytest.mark.parametrize("how", CALLS)
def test_a_layer_that_is_called(how):
    make, expected, left = CALLS[how]
    converted = same(make(), torch.randn(3, 4, 7, 7))
    assert (dict(converted.converted), dict(converted.left)) == (expected, left)


def test_a_block_in_two_places_is_hardened_in_both():
    x = torch.randn(3, 4, 7, 7)
    hardened = harden(same(twice(), x).model, [(x, torch.zeros(3, 7, 7, dtype=torch.long))]).model
    assert hardened.a[0] is hardened.b[0]
    assert not any(isinstance(module, MultiGatedUnit) for module in hardened.modules())


class Padded(nn.Module):
    """Reads settings of its layer, as models that pad by hand do; with a condition that torch.fx cannot follow."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, stride=2), nn.BatchNorm2d(4)
        self.width = 4

    def forward(self, x):
        if x.shape[-1] % self.conv.stride[0] and x.mean() < 100:
            x = F.pad(x, [(k - 1) // 2 for k in self.conv.kernel_size for _ in range(2)])
        return self.norm(self.conv(x)).relu()


def test_what_others_read_of_a_layer_its_unit_keeps_and_the_hardened_block_too():
    x = torch.randn(3, 4, 7, 7)
    converted = same(Padded(), x)
    assert converted.converted == {"conv": "BN(Conv2d)"}
    plain, _ = decide(converted.model, [(x, torch.zeros(3, 4, 4, dtype=torch.long))])
    with torch.no_grad():
        torch.testing.assert_close(copy.deepcopy(plain)(x), plain(x))
    assert copy.deepcopy(plain).conv.stride == (2, 2)


def test_a_block_that_others_read_keeps_that_or_stays():
    def inner(**more):
        return Model(lambda self, x: F.relu(self.layer(x)), layer=nn.Linear(5, 6), **more)

    model = Model(
        lambda self, x: self.a(x) * self.a.width + F.linear(self.b(x), self.b.weight),
        a=inner(width=6),
        b=inner(weight=nn.Parameter(torch.randn(6, 6))),
    )
    converted = same(model, torch.randn(3, 5))
    assert converted.converted == {"a.layer": "ReLU(Linear)"}
    assert converted.left == {"b.layer": "relu is behind it, and Model's forward cannot be rewritten without that step"}
    assert copy.deepcopy(converted.model).a.width == 6


def test_a_norm_that_others_read_stays():
    model = Model(lambda self, x: self.norm(self.layer(x)) + self.norm.eps, layer=nn.Linear(5, 6), norm=nn.LayerNorm(6))
    left = same(model, torch.randn(3, 5)).left
    assert left == {"layer": "the eps of LayerNorm behind it is read besides"}


class Scaled(nn.Linear):
    def forward(self, x, scale=1.0):
        return scale * super().forward(x)


def test_a_layer_with_more_than_its_input_stays():
    model = Model(lambda self, x: self.norm(self.layer(x, 2.0)), layer=Scaled(5, 6), norm=nn.LayerNorm(6))
    assert same(model, torch.randn(3, 5)).left == {"layer": "it is called with more than its input"}


def test_what_is_frozen_stays_so():
    model = nn.Sequential(*block()).requires_grad_(False).train()
    model[1].eval()
    unit = convert(model, torch.randn(3, 4, 7, 7)).model[0]
    assert unit.training
    assert not unit.operations["bn"].training
    frozen = {name for name, parameter in unit.named_parameters() if not parameter.requires_grad}
    assert frozen == {f"operations.{name}" for name in ("linear.weight", "linear.bias", "bn.weight", "bn.bias")}


def test_tied_weights_stay_tied():
    tied = nn.Embedding(9, 6)
    model = Model(lambda self, x: torch.tanh(self.out(self.table(x))), table=tied, out=nn.Linear(6, 9, bias=False))
    model.out.weight = tied.weight
    converted = same(model, torch.randint(0, 9, (3, 4))).model
    assert converted.out.operations["linear"].weight is converted.table.weight


class NormAndActivation(nn.BatchNorm2d):
    """A norm with an activation of its own, behind it or, the other way round, before it."""

    def __init__(self, channels, behind=True):
        super().__init__(channels)
        self.act, self.behind = nn.ReLU(inplace=True), behind

    def forward(self, x):
        return self.act(super().forward(x)) if self.behind else super().forward(self.act(x))


def test_a_norm_with_an_activation_behind_it_is_both():
    x = torch.randn(3, 4, 7, 7)
    conv = nn.Conv2d(4, 4, 3)
    assert same(nn.Sequential(conv, NormAndActivation(4)), x).converted == {"0": "ReLU(BN(Conv2d))"}
    assert same(nn.Sequential(conv, NormAndActivation(4), nn.Tanh()), x).converted == {"0": "ReLU(BN(Conv2d))"}
    assert same(nn.Sequential(conv, nn.Tanh(), NormAndActivation(4)), x).converted == {"0": "Tanh(Conv2d)"}
    assert not same(nn.Sequential(conv, NormAndActivation(4, behind=False)), x).converted


@pytest.mark.parametrize("make", [block, lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.GELU(), nn.BatchNorm2d(4))])
def test_half_precision_stays_and_differs_by_its_rounding(make):
    x = torch.randn(3, 4, 7, 7).bfloat16()
    model = lived_in(make().bfloat16())
    converted = convert(model, x)
    assert {parameter.dtype for parameter in converted.model.parameters()} == {torch.bfloat16}
    with torch.no_grad():
        largest = model(x).abs().max().item()
    assert max(converted.largest_difference, converted.training_difference) <= largest * torch.finfo(torch.bfloat16).eps


def test_wrappers_that_keep_to_their_layers_are_refused():
    compiled = torch.compile(nn.Linear(5, 6), backend="eager")
    with pytest.raises(InputError, match="0 is a OptimizedModule, which keeps to the layers"):
        convert(nn.Sequential(compiled, nn.ReLU()), torch.randn(3, 5))


def test_a_model_that_cannot_be_copied_is_named():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = nn.Sequential(nn.utils.weight_norm(nn.Linear(5, 6)), nn.ReLU())
    model(torch.randn(3, 5)).sum().backward()
    with pytest.raises(InputError, match="Sequential cannot be copied, as converting needs: Only Tensors"):
        convert(model, torch.randn(3, 5))


def test_each_module_stays_in_its_mode_where_the_activation_is_a_function():
    torch.manual_seed(0)
    model = Model(
        lambda self, x: self.drop(self.other(self.last(F.relu(self.norm(self.inner.layer(x)))))),
        inner=nn.ModuleDict({"layer": nn.Conv2d(4, 4, 3)}),
        norm=nn.BatchNorm2d(4),
        last=nn.Conv2d(4, 4, 1),
        other=nn.GroupNorm(2, 4),
        drop=nn.Dropout(0.5),
    )
    lived_in(model).train()
    for frozen in (model.inner, model.norm, model.other, model.drop):
        frozen.training = False
    x = torch.randn(3, 4, 7, 7)
    converted = convert(model, x).model
    unit = converted.get_submodule("inner.layer")
    still = [unit.operations["bn"], converted.inner, converted.other, converted.drop]
    assert [module.training for module in (converted, unit, *still)] == [True, True, False, False, False, False]
    with torch.no_grad():
        torch.testing.assert_close(converted(x), model(x))


class Sometimes(nn.Module):
    """A layer with a norm, and an activation where ``when`` says so, which torch.fx cannot follow."""

    def __init__(self, when):
        super().__init__()
        self.layer, self.norm, self.act, self.when = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), when

    def forward(self, x, act=True):
        y = self.norm(self.layer(x))
        return self.act(y) if self.when(self, act, x) else y


SOMETIMES = {
    "by an argument": lambda self, act, x: act,
    "by the data": lambda self, act, x: x.mean() > 0,
    "in evaluation alone": lambda self, act, x: not self.training and x.mean() < 100,
    "in training alone": lambda self, act, x: self.training and x.mean() < 100,
}


@pytest.mark.parametrize("when", SOMETIMES)
def test_a_group_that_is_not_in_each_call_is_left(when):
    model = Model(
        lambda self, x: self.block(self.block(x + 9), act=False) + self.block(x - 9), block=Sometimes(SOMETIMES[when])
    )
    converted = same(model, torch.randn(3, 4, 7, 7))
    reason = "Sometimes's forward does not do the same behind it in each call"
    found = dict(converted.converted), dict(converted.left)
    norm_alone = {"block.layer": "BN(Conv2d)"}, {}
    assert found == (norm_alone if when == "in training alone" else ({}, {"block.layer": reason}))


def test_a_group_of_which_another_call_has_a_part_is_left():
    def run(self, x):
        return self.act(self.layer(x)) if x.shape[-1] > 5 and x.mean() < 100 else self.act(x)

    inner = Model(run, layer=nn.Conv2d(4, 4, 3), act=nn.ReLU())
    model = Model(lambda self, x: self.inner(self.inner(x)), inner=inner)
    assert "inner.layer" in same(model, torch.randn(3, 4, 7, 7)).left


class Clipped(nn.BatchNorm1d):
    """Is batch norm where numbers are small."""

    def forward(self, x):
        return super().forward(x.clamp(-50, 50))


def test_a_converted_model_that_is_another_function_is_refused():
    model = nn.Sequential(nn.Linear(5, 6), Clipped(6))
    assert convert(model, torch.randn(3, 5)).converted
    with pytest.raises(InputError, match=r"differ by .* on the batch, more than by rounding, .*only="):
        convert(model, 1000 * torch.randn(3, 5))


class WithScale(nn.Module):
    """Takes a second argument, so that its forward cannot be rewritten."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 6)

    def forward(self, x, scale=2.0):
        return F.leaky_relu(self.layer(x), 0.3) * scale


REASONS = {
    "function": (
        WithScale(),
        "leaky_relu is behind it, and WithScale's forward cannot be rewritten without that step",
    ),
    "momentum": (
        nn.ModuleDict({"layer": nn.Linear(5, 6), "norm": nn.BatchNorm1d(6, momentum=None)}),
        "BatchNorm1d behind it has no momentum, as a unit's has",
    ),
    "statistics": (
        nn.ModuleDict({"layer": nn.Linear(5, 6), "norm": nn.BatchNorm1d(6, track_running_stats=False)}),
        "BatchNorm1d behind it keeps no running statistics, as a unit's does",
    ),
}


@pytest.mark.parametrize("what", REASONS)
def test_the_reason_is_the_one_that_holds(what):
    model, reason = REASONS[what]
    if isinstance(model, nn.ModuleDict):
        model = Model(lambda self, x: self.norm(self.layer(x)), **model)
    assert same(model, torch.randn(3, 5)).left == {"layer": reason}


def test_layers_of_other_kinds_are_listed():
    model = Model(
        lambda self, x: torch.relu(self.layer(self.recurrent(self.up(x).flatten(2))[0])),
        up=nn.ConvTranspose2d(4, 4, 1),
        recurrent=nn.LSTM(49, 5, batch_first=True),
        layer=nn.Linear(5, 6),
    )
    converted = same(model, torch.randn(3, 4, 7, 7))
    behind = " is no layer that a unit takes: those are linear and convolution layers"
    assert converted.left == {"up": f"ConvTranspose2d{behind}", "recurrent": f"LSTM{behind}"}
    assert not convert(model, torch.randn(3, 4, 7, 7), lambda name, layer: layer.in_features == 5).left


@pytest.mark.parametrize("ask", [lambda: convert("x", torch.zeros(2, 5)), lambda: summary("x")])
def test_what_is_no_module_is_named(ask):
    with pytest.raises(InputError, match=r"the model is 'x', a str; allowed: a torch.nn.Module"):
        ask()


def test_a_choice_of_another_type_is_named():
    with pytest.raises(InputError, match="only is 3, a int; allowed: a pattern of names"):
        convert(nn.Sequential(nn.Linear(5, 6), nn.ReLU()), torch.randn(3, 5), only=3)


def test_scripted_modules_are_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(nn.Linear(5, 6))
    with pytest.raises(
        InputError, match="1 is a RecursiveScriptModule, which cannot be looked into; convert the model"
    ):
        convert(nn.Sequential(nn.Linear(5, 5), scripted, nn.ReLU()), torch.randn(3, 5))


def test_a_conversion_is_told_in_a_line():
    converted = convert(nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 6)), torch.randn(3, 5))
    assert repr(converted) == "<Conversion of Sequential: 1 units, 1 layers left, largest difference 0>"
