"""Counted floating-point operations against hand counts from the equations and torch's own counter, on every kind of
network that the library makes; and that counting changes nothing."""

import contextlib
import copy
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mgu.errors import InputError
from mgu.history import Flops
from mgu.layouts import Layout
from mgu.spaces import Architecture, Cell
from mgu.torch import ACTIVATIONS, GATES, MultiGatedUnit, build_network, fused, harden
from mgu.torch.bypass import BYPASSES
from mgu.torch.flops import FlopCounter, forward_flops, step_flops
from mgu.torch.norms import BatchNorm
from mgu.torch.vocabulary import FUNCTIONS, LAYERS, OPERATORS
from mgu.wiring import FORMS, NORMS, PROCESSORS

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def classes(samples, of=4):
    return torch.arange(samples) % of


def step(network, x, y, optimizer=None, loss=F.cross_entropy):
    loss(network(x), y).backward()
    if optimizer is not None:
        optimizer.step()


# Hand counts: n elements, from the equations.


def test_a_training_step_of_convolution_batch_norm_and_activation():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SELU())
    x, n = torch.randn(5, 3, 6, 7), 5 * 8 * 6 * 7
    products = 2 * n * 3 * 3 * 3
    forward = 1 + 8 + 1 + 3  # bias, norm, activation, squared error
    backward = 2 + 2 + 9 + 1  # squared error, activation, norm, the bias's gradient
    found = step_flops(network, x, torch.randn(5, 8, 6, 7), loss=F.mse_loss)
    assert found == Flops(2 * products, 2 * products + (forward + backward) * n)  # x needs no gradient
    assert forward_flops(network, x) == Flops(products, products + (1 + 4 + 1) * n)


def test_a_linear_classifier():
    network, x = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 3)), torch.randn(7, 6)
    first, second = 2 * 7 * 6 * 10, 2 * 7 * 10 * 3
    matrix = 2 * first + 3 * second
    forward = 70 + 70 + 21 + 5 * 21 + 7  # biases and activation, log-softmax, the mean over the samples
    backward = 7 + 4 * 21 + 21 + 2 * 70 + 70
    assert step_flops(network, x, classes(7, 3)) == Flops(matrix, matrix + forward + backward)


def test_the_default_unit():
    unit, x, n = MultiGatedUnit(nn.Conv2d(3, 8, 3, padding=1)), torch.randn(5, 3, 6, 7), 5 * 8 * 6 * 7
    matrix = 2 * n * 3 * 3 * 3 + 2 * n * 3  # the layer, and the shortcut's projection
    paths = 1 + 1 + (4 + 1) + 4 + 8  # bias, A(L), A(BN(L)), BN(A(L)), LN(A(L))
    mixed = 1 + 1 + 1 + 2 + 2  # a norm's weight is scaled before; adding A(L) and the bypass has a product
    gates = 5 + 5 * 3 * 5 + 5 + 2 * 2  # a channel: sigmoids, each gate's mix of 5 weights, the sum, two norms' weights
    assert forward_flops(unit, x) == Flops(matrix, matrix + (paths + mixed) * n + gates * 8)


def test_the_unit_with_replica_gates():
    unit = MultiGatedUnit(nn.Conv2d(3, 8, 3, padding=1), gates="replica", bypass="replica")
    x, n = torch.randn(5, 3, 6, 7), 5 * 8 * 6 * 7
    matrix = 7 * 2 * n * 3 * 3 * 3  # the layer, the bypass, and five gates
    paths = 7 + 1 + (4 + 1) + 4 + 8 + 1  # biases, A(L), A(BN(L)), BN(A(L)), LN(A(L)), the residual's sum
    gates = 5 * (1 + 3)  # sigmoid; difference, product, sum
    assert forward_flops(unit, x) == Flops(matrix, matrix + (paths + gates) * n)


@pytest.mark.parametrize(
    ("optimizer", "a_weight", "a_tensor"),
    [
        (lambda weights: torch.optim.SGD(weights, lr=0.1), 2, 0),
        # moments 3 and 1 + 3, root of the corrected second one 2, epsilon 1, two terms of 3; two running products
        (lambda weights: torch.optim.NAdam(weights), 16, 2),
    ],
)
def test_an_optimizers_step_counts_by_weight_whatever_the_batch(optimizer, a_weight, a_tensor):
    network = nn.Sequential(nn.Linear(6, 10), nn.Linear(10, 3))
    made = optimizer(network.parameters())
    for samples in (2, 9):
        x, y = torch.randn(samples, 6), classes(samples, 3)
        without, found = step_flops(network, x, y), step_flops(network, x, y, made)
        assert found.matrix == without.matrix
        assert found.every - without.every == a_weight * (70 + 33) + a_tensor * 4


class NormByEquations(torch.autograd.Function):
    """(x - mean) / sqrt(var + 0.001) * weight + bias over one axis of (rows, channels), and its gradients."""

    @staticmethod
    def forward(ctx, x, weight, bias, axis):
        mean = x.sum(axis, keepdim=True) / x.shape[axis]
        var = ((x - mean) ** 2).sum(axis, keepdim=True) / x.shape[axis]
        rsqrt = (var + 1e-3).rsqrt()
        ctx.axis = axis
        ctx.save_for_backward(x, weight, mean, rsqrt)
        return (x - mean) * rsqrt * weight + bias

    @staticmethod
    def backward(ctx, grad):
        x, weight, mean, rsqrt = ctx.saved_tensors
        normed = (x - mean) * rsqrt
        of_weight, of_bias = (grad * normed).sum(0), grad.sum(0)
        if ctx.axis == 0:  # the weight is a factor of the whole column: its sums are those above
            along, total, scale = of_weight, of_bias, rsqrt * weight
        else:
            grad, scale = grad * weight, rsqrt
            along, total = (grad * normed).sum(1, keepdim=True), grad.sum(1, keepdim=True)
        size = x.shape[ctx.axis]
        return (grad - total / size - normed * (along / size)) * scale, of_weight, of_bias, None


@pytest.mark.parametrize(("norm", "axis"), [(BatchNorm(200), 0), (nn.LayerNorm(200, eps=1e-3), 1)])
def test_the_norms_figures_are_those_of_their_equations(norm, axis):
    """The equations give torch's values and gradients with as many operations as the table says, but for those that
    are done once a row or column."""
    torch.manual_seed(0)
    norm, twin = norm.double(), copy.deepcopy(norm).double()
    x, grad = torch.randn(300, 200).double().requires_grad_(), torch.randn(300, 200).double()
    forms = (norm, lambda x: NormByEquations.apply(x, twin.weight, twin.bias, axis))
    results = []
    for form in forms:
        x.grad = None
        with FlopCounter() as forward:
            output = form(x)
        with FlopCounter() as backward:
            output.backward(grad)
        results.append((output, x.grad, forward.flops.every / x.numel(), backward.flops.every / x.numel()))
    (output, of_x, *counted), (expected, expected_of_x, *by_equations) = results
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(of_x, expected_of_x)
    torch.testing.assert_close(norm.weight.grad, twin.weight.grad)
    torch.testing.assert_close(norm.bias.grad, twin.bias.grad)
    for table, found in zip(counted, by_equations, strict=True):
        assert table <= found < table + 0.1


# Matrix products and convolutions, against torch's own counter.


def layers(draw):
    """A convolution of any settings, and the shape of its input."""
    axes, groups = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    inputs, outputs = (groups * draw(st.integers(1, 3)) for _ in range(2))
    names, most = ("kernel_size", "stride", "dilation"), (3, 3, 2)
    numbers = {name: [draw(st.integers(1, top)) for _ in range(axes)] for name, top in zip(names, most, strict=True)}
    spans = list(zip(numbers["kernel_size"], numbers["dilation"], strict=True))
    padding = [draw(st.integers(0, 2)) for _ in range(axes)]
    positions = [draw(st.integers(d * (k - 1) + 1, 8)) for k, d in spans]
    settings = {**numbers, "padding": padding, "bias": draw(st.booleans())}
    return axes, groups, inputs, outputs, settings, (draw(st.integers(1, 4)), inputs, *positions)


def by_torchs_counter(network, x):
    """The matrix flops of a forward and a backward pass, by torch."""
    with FlopCounterMode(display=False) as counter:
        network(x).sum().backward()
    return counter.get_total_flops()


def summed(output, _):
    return output.sum()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_grouped_convolution_is_as_many_as_its_groups(data):
    axes, groups, inputs, outputs, settings, shape = layers(data.draw)
    kind = CONVOLUTIONS[axes - 1]
    scale, layer = kind(inputs, inputs, 1), kind(inputs, outputs, groups=groups, **settings)
    x = torch.randn(shape)
    one = nn.Sequential(
        kind(inputs // groups, inputs // groups, 1), kind(inputs // groups, outputs // groups, **settings)
    )
    first = 2 * 2 * x.numel() * inputs
    alone = by_torchs_counter(one, x[:, : inputs // groups]) - first // groups**2
    found = step_flops(nn.Sequential(scale, layer), x, x, loss=summed)
    assert found.matrix == first + groups * alone
    products = 2 * layer(x).numel() * layer.weight[0].numel()
    assert found.matrix == first + 3 * products
    assert step_flops(layer, x, x, loss=summed).matrix == 2 * products


@settings(max_examples=40, deadline=None)
@given(data=st.data(), transposed=st.booleans())
def test_convolutions_and_linear_layers_are_as_torch_counts_them(data, transposed):
    axes, _, inputs, outputs, settings, shape = layers(data.draw)
    kinds = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d) if transposed else CONVOLUTIONS
    settings["padding"] = 0 if transposed else settings["padding"]
    network = nn.Sequential(
        nn.Linear(shape[-1], shape[-1]), kinds[axes - 1](inputs, outputs, **settings), nn.Flatten(), nn.LazyLinear(3)
    )
    x = torch.randn(shape)
    network(x)
    assert step_flops(network, x, x, loss=summed).matrix == by_torchs_counter(network, x)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(x)
    assert forward_flops(network, x).matrix == counter.get_total_flops()


# Whatever the library makes is known: no operation of a step or a forward pass is in neither table.

INPUTS = {
    "linear": (nn.Linear(6, 8), (5, 6)),
    "conv1d": (nn.Conv1d(6, 8, 3, stride=2, padding=1), (5, 6, 9)),
    "conv2d": (nn.Conv2d(6, 8, 3), (5, 6, 7, 8)),
    "same": (nn.Conv2d(6, 6, 3, padding=1), (5, 6, 7, 8)),
    "grouped": (nn.Conv2d(6, 12, 3, groups=3, bias=False), (5, 6, 7, 8)),
    "conv3d": (nn.Conv3d(6, 8, 3, padding=1), (5, 6, 4, 5, 6)),
}


def network_of(inputs, **unit):
    """A network of two units, the second of which gives gradients on, and an input for it."""
    layer, shape = INPUTS[inputs]
    first = type(layer)(6, 6, 1) if isinstance(layer, CONVOLUTIONS) else nn.Linear(6, 6)
    network = nn.Sequential(
        MultiGatedUnit(first, **unit), MultiGatedUnit(layer, **unit), nn.Flatten(), nn.Dropout(0.4), nn.LazyLinear(4)
    )
    x = torch.randn(shape)
    with torch.no_grad():
        network(x)
    return network, x


def counts(network, x):
    """A step, and a forward pass; all that there is to a unit is more than its matrix products."""
    found = step_flops(network, x, classes(len(x)), torch.optim.NAdam(network.parameters()))
    forward = forward_flops(network, x)
    assert 0 < forward.matrix < found.matrix < found.every
    assert forward.matrix < forward.every < found.every
    return found


UNITS = [
    *({"gates": gates, "form": form} for gates in GATES for form in FORMS),
    *({"bypass": bypass} for bypass in BYPASSES),
    {"residual_gate": False},
]


@pytest.mark.parametrize("inputs", ["same", "grouped"])  # the others are counted beside what the CPU runs
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: "-".join(map(str, unit.values())))
def test_every_unit_is_counted(unit, inputs):
    counts(*network_of(inputs, **unit))


@pytest.mark.parametrize("processor", PROCESSORS)
def test_every_processor_is_counted(processor):
    network, x = network_of("conv2d", processors=(processor,))
    plain, _ = network_of("conv2d")
    assert counts(network, x).every > counts(plain, x).every


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("shape", [(3,), (3, 9), (3, 9, 9), (3, 9, 9, 9)])
def test_every_plain_cell_is_counted(norm, residual, shape):
    architecture = Architecture(Layout(2, 1, 2, 1, 2), Cell(norm, residual))
    counts(build_network(architecture, shape, 4), torch.randn(5, *shape))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_counted(activation):
    found, linear = (counts(*network_of("conv2d", activation=name)) for name in (activation, "linear"))
    assert found.every > linear.every or activation == "linear"


def constructed(kind):
    """A layer of the vocabulary, and an input for it: (batch, channels, *positions)."""
    arguments = {"Linear": (6, 8), "LayerNorm": (8,), "RMSNorm": (8,), "GroupNorm": (2, 6), "Softmax": (1,)}
    for start, those in (("Conv", (6, 8, 3)), ("BatchNorm", (6,)), ("InstanceNorm", (6,)), ("Adaptive", (2,))):
        arguments.update({name: those for name in LAYERS if name.startswith(start)})
    arguments.update({name: (2,) for name in LAYERS if "Pool" in name and name not in arguments})
    axes = int(kind[-2]) if kind[-2:] in ("1d", "2d", "3d") else 2
    layer = getattr(nn, kind)(*arguments.get(kind, ()))
    return layer, torch.randn(5, 6, *(6,) * axes) if kind == "Linear" else torch.randn(5, 6, *(8,) * axes)


@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_of_the_vocabulary_is_counted(kind):
    layer, x = constructed(kind)
    found = step_flops(nn.Sequential(nn.Tanh(), nn.Linear(x.shape[-1], x.shape[-1]), layer), x, x, loss=summed)
    without = step_flops(nn.Sequential(nn.Tanh(), nn.Linear(x.shape[-1], x.shape[-1])), x, x, loss=summed)
    moved = kind in ("Identity", "Flatten")
    assert moved or found.every > without.every
    assert forward_flops(layer, x).every > 0 or moved or "Dropout" in kind


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_every_padding_is_counted(mode, axes):
    layer = CONVOLUTIONS[axes - 1](2, 3, 3, padding=1, padding_mode=mode)
    x, n = torch.randn(2, 2, *(4,) * axes), 2 * 3 * 4**axes
    assert step_flops(nn.Sequential(nn.Linear(4, 4), layer), x, x, loss=summed).matrix >= 3 * 2 * n * 2 * 3**axes


class Applied(nn.Module):
    """A function of a linear layer's outputs."""

    def __init__(self, function):
        super().__init__()
        self.layer, self.function = nn.Linear(6, 6), function

    def forward(self, x):
        return self.function(self.layer(x))


EXAMPLES = {
    **{name: (lambda x, f=f: f(x, x)) for name, f in {"torch.add": torch.add, "torch.mul": torch.mul}.items()},
    "torch.cat": lambda x: torch.cat([x, x]),
    "torch.movedim": lambda x: torch.movedim(x, 0, 1),
    "torch.permute": lambda x: torch.permute(x, (1, 0)),
    "torch.reshape": lambda x: torch.reshape(x, (-1,)),
    "nn.functional.softmax": lambda x: F.softmax(x, 1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_of_the_vocabulary_is_counted(name):
    network, x = Applied(EXAMPLES.get(name, FUNCTIONS[name])), torch.randn(5, 6)
    assert step_flops(network, x, x, loss=summed).every > forward_flops(network, x).every > 0


@pytest.mark.parametrize("name", [*OPERATORS, "amax", "mean", "sum"])
def test_every_operator_and_reducing_method_of_the_vocabulary_is_counted(name):
    def apply(x):
        if name == "getitem":
            return x[1:]
        return OPERATORS[name][0](x, x) if name in OPERATORS else getattr(x, name)(1)

    network, x = Applied(apply), torch.randn(5, 6)
    assert step_flops(network, x, x, loss=summed).every > forward_flops(network, x).every > 0


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adamax"])
def test_common_optimizers_are_counted(name):
    network, x = nn.Linear(6, 4), torch.randn(5, 6)
    optimizer = getattr(torch.optim, name)(network.parameters(), lr=0.01, weight_decay=0.1)
    assert step_flops(network, x, classes(5), optimizer).every > step_flops(network, x, classes(5)).every


@pytest.mark.parametrize("gates", GATES)
def test_a_hardened_network_is_counted_and_has_less_to_do(gates):
    network, x = network_of("conv2d", gates=gates, bypass="replica")
    hardened = harden(network, [(x, classes(5))]).model
    soft, hard = (forward_flops(model, x) for model in (network, hardened))
    assert hard.every < soft.every
    assert counts(hardened, x).every < counts(network, x).every


# What runs on the CPU does the same arithmetic.


@contextlib.contextmanager
def without_kernels():
    with (
        mock.patch.object(fused, "plain_run", return_value=False),
        mock.patch("mgu.torch.gated.plain_run", return_value=False),
    ):
        yield


def on_the_cpu(network, x, precision=None):
    """A step with its numbers, counted as it runs."""
    network = copy.deepcopy(network).train()
    optimizer = torch.optim.NAdam(network.parameters(), foreach=False)
    cast = torch.autocast("cpu", precision or torch.bfloat16, enabled=precision is not None)
    with FlopCounter() as counter:
        with cast:
            logits = network(x).float()
        step(lambda _: logits, x, classes(len(x)), optimizer)
    return counter.flops


@pytest.mark.parametrize("inputs", ["linear", "conv1d", "conv2d", "conv3d"])
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: "-".join(map(str, unit.values())))
def test_without_kernels_the_cpu_runs_what_is_counted(unit, inputs):
    network, x = network_of(inputs, **unit)
    with without_kernels():
        found = on_the_cpu(network, x)
    counted = counts(network, x)
    assert found.matrix == counted.matrix
    # with replica gates the gradients of overlapping windows are added up outside of the product
    extra = found.every - counted.every
    assert extra == 0 or (unit.get("gates") == "replica" and 0 < extra < 0.05 * counted.every)


@pytest.mark.skipif(not fused.available(), reason=f"no kernel: {fused.why_not()}")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: "-".join(map(str, unit.values())))
def test_a_kernel_changes_nothing_about_the_count(unit):
    network, x = network_of("conv2d", **unit)
    counted, seen = counts(network, x), on_the_cpu(network, x)
    with without_kernels():
        assert counts(network, x) == counted
    assert seen.matrix == counted.matrix
    by_torch = unit.get("gates") == "depthwise" or unit == {"gates": "replica", "form": "equations"}
    assert (seen.every < counted.every) != by_torch  # what a kernel does is not seen


@pytest.mark.parametrize("gates", GATES)
def test_bf16_does_the_same_operations(gates):
    network, x = network_of("conv2d", gates=gates, processors=tuple(PROCESSORS))
    with without_kernels():
        found, counted = on_the_cpu(network, x, torch.bfloat16), counts(network, x)
    assert found.matrix == counted.matrix
    # casts keep the replica gates from being run as one: the gradients of what they read are added up
    extra = found.every - counted.every
    assert extra == 0 or (gates == "replica" and 0 < extra < 0.01 * counted.every)


# Counting leaves everything as it is.


def test_nothing_is_changed():
    network, x = network_of("conv2d")
    y, optimizer = classes(5), torch.optim.NAdam(network.parameters())
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5)
    step(network.train(), x, y, optimizer)
    network[3].eval()
    network[0].requires_grad_(False)

    def state():
        gradients = [None if weight.grad is None else weight.grad.clone() for weight in network.parameters()]
        modes = [module.training for module in network.modules()]
        kept = network.state_dict(), optimizer.state_dict(), gradients, modes, torch.get_rng_state(), x
        return copy.deepcopy(kept)

    before = state()
    with_frozen = step_flops(network, x, y, optimizer)
    forward_flops(network, x)
    torch.testing.assert_close(state(), before, rtol=0, atol=0)
    network[0].requires_grad_(True)
    assert with_frozen.every < step_flops(network, x, y, optimizer).every


def test_an_optimizer_that_works_on_all_weights_at_once_counts_as_the_same():
    network, x = nn.Linear(6, 4), torch.randn(5, 6)
    found = {
        step_flops(network, x, classes(5), torch.optim.Adam(network.parameters(), **how))
        for how in ({}, {"foreach": True}, {"fused": True})
    }
    assert len(found) == 1


def test_inside_no_grad_and_inference_mode():
    network, x = network_of("conv2d")
    expected = step_flops(network, x, classes(5)), forward_flops(network, x)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            assert (step_flops(network, x, classes(5)), forward_flops(network, x)) == expected


def test_shared_weights_and_counted_batches():
    linear = nn.Linear(6, 6)
    network, x = nn.Sequential(linear, linear), torch.randn(5, 6)
    norm = nn.Sequential(network, nn.BatchNorm1d(6, momentum=None))
    optimizer = torch.optim.SGD(norm.parameters(), lr=0.1)
    updates = step_flops(norm, x, classes(5), optimizer).every - step_flops(norm, x, classes(5)).every
    assert updates == 2 * (6 * 6 + 6 + 6 + 6)


# What cannot be counted is named.


def test_an_unknown_operation_is_named():
    network, x = Applied(lambda x: torch.fft.rfft(x).abs() + torch.sort(x)[0][:, :4]), torch.randn(5, 6)
    for count in (lambda: forward_flops(network, x), lambda: step_flops(network, x, x, loss=summed)):
        with pytest.raises(InputError, match=r"nothing is known of .*aten\._fft_r2c, aten\.sort"):
            count()


@pytest.mark.parametrize(
    ("network", "shape"),
    [(Applied(lambda x: x if x.sum() > 0 else -x), (5, 6)), (nn.Linear(6, 3), (5, 7))],
    ids=["depends on values", "wrong shape"],
)
def test_what_does_not_run_without_numbers_is_said(network, shape):
    with pytest.raises(InputError, match="cannot be counted, without numbers"):
        forward_flops(network, torch.randn(shape))
