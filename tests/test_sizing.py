"""The network that a data set gets by its shape: it always fits, and more data never makes it smaller."""

from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mgu.errors import InputError
from mgu.sizing import architecture_for, batch_size_for
from mgu.torch import build_network, model_size

counts = st.integers(1, 2_000_000)
images = st.tuples(st.integers(1, 40), st.integers(8, 3000), st.integers(8, 3000))
tables = st.tuples(st.integers(1, 20_000))


@given(images, counts)
def test_an_image_of_any_size_fits_and_keeps_positions_to_pool(shape, samples):
    architecture = architecture_for(shape, samples)
    last = architecture.plan(shape)[-1].output_shape
    assert min(last[1:]) >= 2
    assert prod(last[1:]) >= 16  # (4 an axis)
    halvings = architecture.layout.nr_reductions
    assert last[1:] == tuple(-(-side // 2**halvings) for side in shape[1:])
    assert 2 <= architecture.layout.nr_layers <= halvings + 3
    # One halving more would leave too little.
    assert prod(shape[1:]) < 16 * 4 ** (halvings + 1) or min(shape[1:]) < 2 * 2 ** (halvings + 1)


@given(st.integers(1, 2), st.lists(st.integers(1, 70), min_size=1, max_size=3), counts)
def test_one_two_or_three_axes_of_any_length_give_a_plan(channels, positions, samples):
    plan = architecture_for((channels, *positions), samples).plan((channels, *positions))
    assert min(plan[-1].output_shape) >= 1


@given(tables, counts)
def test_a_table_of_any_width_has_linear_layers_of_one_width(shape, samples):
    plan = architecture_for(shape, samples).plan(shape)
    widths = {layer.output_shape for layer in plan}
    assert 2 <= len(plan) <= 4
    assert len(widths) == 1
    assert 16 <= min(widths)[0] <= 128


@given(images | tables, counts, counts)
@settings(max_examples=10)
def test_more_data_never_makes_it_smaller(shape, some, others):
    few, many = sorted((some, others))
    assert model_size(architecture_for(shape, few), shape, 2) <= model_size(architecture_for(shape, many), shape, 2)


@given(st.tuples(st.integers(1, 5), st.integers(8, 40), st.integers(8, 40)) | st.tuples(st.integers(1, 30)))
@settings(max_examples=15)
def test_the_network_runs_and_learns_on_such_inputs(shape):
    torch.manual_seed(0)
    network = build_network(architecture_for(shape, 200), shape, 3)
    outputs = network(torch.randn(2, *shape))
    assert outputs.shape == (2, 3)
    outputs.sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("shape", "samples", "layout", "filters"),
    [
        ((1, 8, 8), 1197, "[3, 1, 2, 1, 2]", [16, 32, 64]),
        ((1, 28, 28), 50_000, "[5, 2, 2, 1, 2]", [32, 64, 128, 256, 256]),
        ((3, 224, 224), 300, "[6, 5, 2, 1, 2]", [8, 16, 32, 64, 64, 64]),
        ((3, 8, 1000), 300, "[3, 2, 2, 1, 2]", [8, 16, 32]),
        ((4,), 100, "[2, 0, 1, 1, 1]", [16, 16]),
        ((30,), 20_000, "[4, 0, 1, 1, 1]", [128, 128, 128, 128]),
    ],
)
def test_examples_worked_out_by_hand(shape, samples, layout, filters):
    architecture = architecture_for(shape, samples)
    assert str(architecture.layout) == layout
    assert [layer.output_shape[0] for layer in architecture.plan(shape)] == filters


@pytest.mark.parametrize(
    ("shape", "samples"), [((), 10), ((3, 0, 8), 10), ((1, 2, 3, 4, 5), 10), ((1.5,), 10), ((4,), 0)]
)
def test_what_is_no_shape_or_no_data_is_refused(shape, samples):
    with pytest.raises(InputError, match="arrived"):
        architecture_for(shape, samples)


@pytest.mark.parametrize(
    ("samples", "size"), [(1, 8), (133, 8), (255, 8), (256, 16), (1197, 64), (1023, 32), (60_000, 64)]
)
def test_an_epoch_has_sixteen_batches_where_their_size_allows(samples, size):
    assert batch_size_for(samples) == size
