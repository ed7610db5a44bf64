"""The layout rule against a convolution that is really run, and against the paper's text."""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from mgu.errors import InputError
from mgu.layouts import Layout, plan_layers

layouts = st.builds(
    Layout,
    nr_layers=st.integers(1, 5),
    nr_reductions=st.integers(0, 5),
    max_strides=st.integers(1, 3),
    min_layer_padding_same=st.one_of(st.integers(0, 6), st.just(math.inf)),
    scale_filters=st.floats(0.5, 2.5),
)


@given(layouts, st.lists(st.integers(1, 24), max_size=3), st.sampled_from([1, 3, 5]))
def test_shapes_are_those_of_real_convolutions(layout, positions, kernel_size):
    try:
        plan = plan_layers(layout, (2, *positions), start_filters=3, max_filters=9, kernel_size=kernel_size)
    except InputError:
        assume(False)
    x = torch.empty(1, 2, *positions, device="meta")
    for layer in plan:
        assert layer.input_shape == tuple(x.shape[1:])
        make = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)[len(positions)]
        window = (layer.kernel_size, layer.stride, layer.padding) if positions else ()
        x = make(layer.input_shape[0], layer.output_shape[0], *window, device="meta")(x)
        assert layer.output_shape == tuple(x.shape[1:])


def test_the_papers_rule():
    plan = plan_layers(Layout.of([7, 2, 2, 5, 1.32]), (3, 32, 32), start_filters=32, max_filters=100, kernel_size=3)
    assert [layer.output_shape[0] for layer in plan] == [32, 42, 55, 73, 97, 100, 100]
    assert [layer.stride for layer in plan] == [2, 2, 1, 1, 1, 1, 1]
    assert [layer.padding for layer in plan] == [0, 0, 0, 0, 1, 1, 1]
    assert plan[-1].output_shape == (100, 3, 3)


def test_same_padding_keeps_ceil_of_the_positions_under_a_stride():
    plan = plan_layers(Layout(1, 1, 2, 1, 1), (1, 7, 8), start_filters=4, max_filters=4, kernel_size=5)
    assert plan[0].output_shape == (4, 4, 4)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([4, 2, 2, math.inf], "five numbers are needed"),
        ([4, 2, 2, math.inf, "2"], "five numbers are needed"),
        ([4, 2, 2, math.inf, True], "five numbers are needed"),
        ([10**400, 2, 2, 1, 2], "five numbers are needed"),
        ([4, 2, 2, 1, 10**400], "five numbers are needed"),
        ([4, 2, -(10**400), 1, 2], "five numbers are needed"),
        (["../../x"] * 5, "five numbers are needed"),
        ("42212", "five numbers are needed"),
        (None, "five numbers are needed"),
        (4, "five numbers are needed"),
        ([4.5, 2, 2, 1, 2], "must be whole numbers"),
        ([math.inf, 2, 2, 1, 2], "must be whole numbers"),
        ([math.nan, 2, 2, 1, 2], "must be whole numbers"),
        ([0, 2, 2, 1, 2], "nr_layers must be from 1 to 1000"),
        ([1001, 2, 2, 1, 2], "nr_layers must be from 1 to 1000"),
        ([1, 2, 0, 1, 2], "max_strides at least 1"),
        ([1, 2, 1, math.nan, 2], "min_layer_padding_same at least 0"),
        ([1, 2, 1, 1, 0], "scale_filters above 0"),
    ],
)
def test_numbers_that_are_no_layout(numbers, message):
    with pytest.raises(InputError, match=message):
        Layout.of(numbers)


def test_an_empty_feature_map_is_refused_naming_layer_and_shapes():
    with pytest.raises(InputError, match=r"layer 3 of 4 \(kernel 3, .*\) would turn \(32, 2, 2\) into .* \(64, 0, 0\)"):
        plan_layers(Layout.of([4, 2, 2, math.inf, 2]), (1, 12, 12), start_filters=16, max_filters=512, kernel_size=3)


def test_no_filters_and_even_same_kernels_are_refused():
    with pytest.raises(InputError, match=r"layer 3 of 3.* 0 filters"):
        plan_layers(Layout(3, 0, 1, 1, 0.5), (1, 9, 9), start_filters=2, max_filters=8, kernel_size=1)
    with pytest.raises(InputError, match="needs an odd kernel_size; 4 was given"):
        plan_layers(Layout(1, 0, 1, 1, 1), (1, 9, 9), start_filters=2, max_filters=8, kernel_size=4)


def test_it_prints_as_in_the_published_tables():
    assert str(Layout.of([4, 2, 2, math.inf, 2])) == "[4, 2, 2, inf, 2]"
    assert str(Layout.of([7, 2, 2, 5, 1.32])) == "[7, 2, 2, 5, 1.32]"
    assert str(Layout.of([4, 2, 2.0, math.inf, 2.0])) == "[4, 2, 2, inf, 2]"


def test_layouts_that_differ_print_differently():
    assert str(Layout.of([2, 1, 2, 2, 1.51234567])) != str(Layout.of([2, 1, 2, 2, 1.51234999]))


def test_filters_beyond_any_float_are_the_maximum():
    plan = plan_layers(Layout(800, 0, 1, 1, 8.0), (4,), start_filters=2, max_filters=64, kernel_size=1)
    assert plan[-1].output_shape == (64,)
