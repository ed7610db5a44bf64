"""Whole networks: the published sizes by Keras's own count, and what cannot be built."""

import csv
from pathlib import Path

import keras
import pytest

from mgu.errors import InputError
from mgu.keras import MultiGatedUnit, build_network
from mgu.layouts import Layout
from mgu.spaces import Architecture, Cell, load_space

PUBLISHED = Path(__file__).parents[2] / ".." / "shared" / "paper"
#: The published MGU rows had replica gates; only the second CIFAR-10 one had the residual gate.
PUBLISHED_MGU = {"MNI_MGU_001": False, "CIF_MGU_001": False, "CIF_MGU_002": True}
PAPERS_UNIT = {"gates": "replica", "bypass": "replica"}

pytestmark = pytest.mark.skipif(keras.backend.backend() == "jax", reason="nothing is computed: two backends are enough")


def size(architecture, shape, classes, **unit):
    """The number of weights, without memory for them."""
    with keras.StatelessScope(initialize_variables=False):
        found = build_network(architecture, shape, classes, **unit).count_params()
    keras.utils.clear_session()  # forgets the variables that wait for their values
    return found


def published_rows(data):
    path = PUBLISHED / f"{data}.csv"
    if not path.is_file():
        pytest.skip(f"the paper's table is not beside this checkout: {path}")
    return list(csv.DictReader(path.read_text().splitlines()))


def printed(size, printed_size, unit):
    """The size in thousands or millions, with as many digits as the table prints (it drops trailing zeros)."""
    return f"{round(size / unit, 2):g}" == f"{float(printed_size):g}"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="nothing is computed: one backend is enough")
@pytest.mark.parametrize(("data", "column", "unit"), [("mnist", "model_size_K", 1e3), ("cifar10", "model_size_M", 1e6)])
def test_all_published_sizes_to_the_printed_digit(data, column, unit):
    space = load_space(data)
    models = space.models()
    checked = []
    for row in published_rows(data):
        name, layout = row["model_name"], Layout.of([float(n) for n in row["layout"].strip("[]").split(",")])
        if name in PUBLISHED_MGU:
            architecture = Architecture(layout, start_filters=space.start_filters, max_filters=space.max_filters)
            options = {**PAPERS_UNIT, "residual_gate": PUBLISHED_MGU[name]}
        else:
            architecture, options = models[name], {}
        found = size(architecture, space.input_shape, space.classes, **options)
        assert printed(found, row[column], unit), f"{name}: {found} is not {row[column]}"
        checked.append(name)
    assert len(checked) == {"mnist": 25, "cifar10": 26}[data]


def test_some_published_sizes_without_the_table():
    """Paper, section 6.1: MNI_001, MNI_002, MNI_003, MNI_MGU_001, in thousands."""
    models, shape = load_space("mnist").models(), (1, 28, 28)
    sizes = [build_network(models[name], shape, 10).count_params() for name in ("MNI_001", "MNI_002", "MNI_003")]
    sizes.append(build_network(models["MNI_MGU_001"], shape, 10, residual_gate=False, **PAPERS_UNIT).count_params())
    assert [round(size / 1e3, 2) for size in sizes] == [98.92, 195.91, 99.4, 586.6]


@pytest.mark.parametrize(
    ("data_format", "shape"), [("channels_last", (None, 28, 28, 1)), ("channels_first", (None, 1, 28, 28))]
)
def test_layers_and_shapes(data_format, shape):
    network = build_network(load_space("mnist").models()["MNI_MGU_001"], (1, 28, 28), 10, data_format=data_format)
    assert network.input_shape == shape
    assert network.output_shape == (None, 10)
    assert [layer.name for layer in network.layers] == [
        *(f"layer_{i}" for i in range(1, 5)),
        "pool",
        "dropout",
        "readout",
    ]
    assert all(isinstance(layer, MultiGatedUnit) for layer in network.layers[:4])


def test_what_cannot_be_built_is_named():
    architecture = Architecture(Layout(2, 1, 2, 2, 1.5), Cell("ln", True))
    with pytest.raises(InputError, match="unknown data_format 'last'; allowed: channels_last, channels_first"):
        build_network(architecture, (1, 8, 8), 3, data_format="last")
    with pytest.raises(InputError, match="have 4 position axes; 0 to 3 are allowed"):
        build_network(architecture, (1, 9, 9, 9, 9), 3)
