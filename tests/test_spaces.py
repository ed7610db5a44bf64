"""The bundled spaces against the paper, and one's own from a TOML file."""

import math

import pytest

from mgu.errors import InputError
from mgu.layouts import Layout
from mgu.spaces import Cell, bundled_spaces, load_space, parse_space

OWN = """
prefix = "OWN"
input_shape = [2, 16, 16]
classes = 3
layouts = [[2, 1, 2, inf, 1.5], [1, 0, 1, 1, 1]]
mgu_layouts = [[2, 1, 2, inf, 1.5]]
cells = ["bn_pre", "ln+residual"]
activation = "relu"
dropout = 0.1
kernel_size = 5
start_filters = 8
max_filters = 64
"""


def test_every_bundled_space_has_24_cells_and_one_mgu_that_fit_its_inputs():
    assert bundled_spaces() == ["cervigram", "cifar10", "digits", "mnist", "table"]
    for name in bundled_spaces():
        space = load_space(name)
        models = space.models()
        space.check(space.input_shape)
        assert len(models) == 25
        assert len({(a.layout, a.cell) for a in models.values()}) == 25
        assert [model for model, a in models.items() if a.cell is None] == [f"{space.prefix}_MGU_001"]


@pytest.mark.parametrize(
    ("name", "layouts", "mgu", "start", "most"),
    [
        (
            "mnist",
            [[2, 2, 4, math.inf, 2], [3, 3, 2, math.inf, 2], [4, 2, 2, math.inf, 2]],
            [4, 2, 2, math.inf, 2],
            16,
            512,
        ),
        ("cifar10", [[15, 1, 2, 8, 1.32], [7, 2, 2, 5, 1.32], [10, 1, 2, 8, 1.32]], [15, 1, 2, 8, 1.32], 32, 1024),
        (
            "cervigram",
            [[8, 6, 2, math.inf, 1.32], [11, 5, 2, math.inf, 1.24], [17, 4, 2, math.inf, 1.14]],
            [17, 4, 2, math.inf, 1.14],
            32,
            512,
        ),
    ],
)
def test_the_papers_spaces(name, layouts, mgu, start, most):
    space = load_space(name)
    assert set(space.layouts) == {Layout.of(numbers) for numbers in layouts}
    assert space.mgu_layouts == (Layout.of(mgu),)
    assert {(cell.norm, cell.residual) for cell in space.cells} == {
        (norm, residual) for norm in ("bn_pre", "bn_post", "ln", "no_norm") for residual in (True, False)
    }
    assert (space.activation, space.dropout, space.kernel_size) == ("selu", 0.3, 3)
    assert (space.start_filters, space.max_filters) == (start, most)


def test_the_smallest_cervigram_image_is_the_one_its_file_states():
    space = load_space("cervigram")
    space.check((3, 447, 447))
    with pytest.raises(InputError, match="CER_009"):
        space.check((3, 446, 446))


def test_cells_with_switchable_normalization():
    text = OWN.replace('"bn_pre"', '"sn", "sn+residual"', 1)
    cells = parse_space(text, "own").cells
    assert {Cell("sn", False), Cell("sn", True)} <= set(cells)
    assert [str(cell) for cell in cells if cell.norm == "sn"] == ["sn", "sn+residual"]


def test_ones_own_space(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    models = load_space(str(path)).models()
    assert list(models) == ["OWN_001", "OWN_002", "OWN_003", "OWN_004", "OWN_MGU_001"]
    second = models["OWN_002"]
    assert (second.layout, second.cell) == (Layout(2, 1, 2, math.inf, 1.5), Cell("ln", True))
    assert (second.activation, second.dropout, second.kernel_size) == ("relu", 0.1, 5)
    assert second.plan((2, 16, 16))[1].output_shape == (12, 2, 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("classes = 3", "classes = 0", "classes must be a whole number of at least 1; 0 was given"),
        ("classes = 3", "", r"missing keys \['classes'\]"),
        ("classes = 3", "classes = 3\nfilters = 8", r"unknown keys \['filters'\]; allowed: prefix, input_shape"),
        ("dropout = 0.1", "dropout = 1.0", "dropout must be a number from 0 to below 1; 1.0 was given"),
        ('"bn_pre", ', '"batch", ', "unknown cell 'batch'; allowed: bn_pre, bn_post, ln, no_norm"),
        ('"ln+residual"', '"ln+res"', "unknown cell 'ln\\+res'"),
        ('cells = ["bn_pre", "ln+residual"]', "cells = []", "cells must be a list of at least one entry"),
        ("[1, 0, 1, 1, 1]", "[1, 0, 1]", r"layout \[1, 0, 1\]: five numbers are needed"),
        ('cells = ["bn_pre", ', 'cells = ["bn_pre", "bn_pre", ', "cells has bn_pre more than once"),
        ("[1, 0, 1, 1, 1]]", "[2, 1, 2, inf, 1.5]]", r"layouts has \[2, 1, 2, inf, 1.5\] more than once"),
        ("start_filters = 8", "start_filters = 100000000000", "start_filters must be at most 1000000"),
        ('prefix = "OWN"', 'prefix = "My_mgu"', "prefix must not contain MGU"),
        ('prefix = "OWN"', f'prefix = "{"x" * 61}"', "prefix must have at most 60 bytes in UTF-8"),
        ('prefix = "OWN"', f'prefix = "{"字" * 21}"', "prefix must have at most 60 bytes in UTF-8"),
        ('"bn_pre", ', '"ln", ' * 200_000, "cells has ln more than once"),
        ("[1, 0, 1, 1, 1]", f"{[[1, 0, 1, 1, n] for n in range(1, 15_000)]}"[1:-1], "are 30001 models; at most 10000"),
        ('prefix = "OWN"', 'prefix = "../x"', "prefix must be a name of letters"),
        ("[2, 16, 16]", "[2, 16, -1]", "input_shape must be a whole number of at least 1; -1 was given"),
        ("classes = 3", "classes = ", "not valid TOML"),
        ("classes = 3", "classes = " + "9" * 5000, "not valid TOML"),
        ("classes = 3", "classes = " + "[" * 10**4, "not valid TOML"),
        ("classes = 3", f"classes = {10**400}", "classes must be at most 1000000"),
        ("classes = 3", "classes = 3\nclasses = 3", "not valid TOML"),
        ("classes = 3", "classes = 3\n__class__ = 3", r"unknown keys \['__class__'\]"),
    ],
)
def test_a_space_that_is_wrong_is_refused_naming_the_key(old, new, message):
    with pytest.raises(InputError, match=f"space own: .*{message}"):
        parse_space(OWN.replace(old, new), "own")


def test_unknown_and_unreadable_spaces(tmp_path):
    with pytest.raises(InputError, match=r"unknown space 'mnits': .*cervigram, cifar10, digits, mnist, table"):
        load_space("mnits")
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as text"):
        load_space(str(path))
