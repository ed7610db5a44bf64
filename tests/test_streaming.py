"""Training on images that stay in a file."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from mgu.comparison import Comparison
from mgu.data import Split, load_data
from mgu.data.mapped import Mapped
from mgu.layouts import Layout
from mgu.progress import Silent
from mgu.spaces import Architecture, parse_space
from mgu.training import Recipe, fit, fit_estimator
from mgu.training.samples import Shuffled, on_device
from mgu.training.streaming import Streamed
from resuming import outcome, same

CPU = torch.device("cpu")
MGU = Architecture(Layout(2, 1, 2, 2, 1.32), start_filters=4)
SPACE = """
prefix = "TINY"
input_shape = [3, 6, 5]
classes = 2
layouts = [[1, 1, 2, 2, 2]]
mgu_layouts = [[1, 1, 2, 2, 2]]
cells = ["bn_pre"]
start_filters = 2
"""


@pytest.fixture(scope="module", params=[1, 3])
def held(request):
    """Images of so many channels, which tell their class, and how they are cut."""
    data, random = load_data("digits"), np.random.default_rng(0)

    def split(n):
        y = random.integers(0, 2, n)
        x = random.integers(0, 200, (n, request.param, 6, 5)) + 40 * y[:, None, None, None]
        return Split(x.astype(np.uint8), y)

    return replace(data, train=split(101), validation=split(40), test=split(30), classes=("a", "b"))


@pytest.fixture(scope="module")
def streamed(held, tmp_path_factory):
    """The same in files, in another order, from which the rows are taken."""
    folder = tmp_path_factory.mktemp("mapped")

    def moved(name, split):
        order = np.random.default_rng(1).permutation(len(split.y))
        np.save(folder / f"{name}.npy", split.x[np.argsort(order)])
        return Split(Mapped(folder / f"{name}.npy", order), split.y)

    names = ("train", "validation", "test")
    return replace(held, **{name: moved(name, getattr(held, name)) for name in names})


def test_batches_are_the_same_bit_for_bit_and_lie_alike(held, streamed):
    for resident, read in zip(on_device(held, CPU), on_device(streamed, CPU), strict=True):
        pairs = [(resident.x[:], read.x[:]), (resident.without_numbers, read.without_numbers)]
        pairs += zip(resident.parts(), read.parts(), strict=True)
        pairs += zip((x for x, _ in resident.batches(7)), (x for x, _ in read.batches(7)), strict=True)
        shuffled = (Shuffled(s, 8, torch.Generator().manual_seed(3)) for s in (resident, read))
        pairs += [(a[0], b[0]) for a, b in zip(*shuffled, strict=True)]
        pairs += [
            (resident.spread(9).x[:], read.spread(9).x[:]),
            (resident.part(slice(3, 20)).x, read.part(slice(3, 20)).x[:]),
        ]
        assert isinstance(read.part(slice(3, 20)).x, Streamed)
        for a, b in pairs:
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            assert a.device.type == "meta" or (a.stride()[1:] == b.stride()[1:] and torch.equal(a, b))


def arrays(network):
    return [tensor.numpy() for tensor in network.state_dict().values()]


def test_a_network_learns_the_same_bit_for_bit(held, streamed):
    recipe = Recipe(epochs=3, batch_size=16, harden_after=0.3)
    found, expected = (fit(MGU, data, recipe, seed=2) for data in (streamed, held))
    assert expected.result.hardening
    same(outcome(found, arrays), outcome(expected, arrays))


def test_estimators_hold_them_in_memory(held, streamed):
    found, expected = (fit_estimator("hist_gradient_boosting", data, seed=0) for data in (streamed, held))
    assert found.test_answers == expected.test_answers


@pytest.mark.parametrize("held", [3], indirect=True)
def test_a_study_gives_its_trials_the_file(held, streamed, tmp_path):
    comparison = Comparison(streamed, parse_space(SPACE, "tiny"), Recipe(epochs=1, batch_size=16))
    (trial,) = comparison.trials([0], ["TINY_001"])
    (record,) = comparison.run(tmp_path, [trial], Silent()).records
    expected = fit(trial.architecture, held, comparison.recipe).result
    assert record.result.status == "finished"
    assert (record.result.val_score, record.result.test_answers) == (expected.val_score, expected.test_answers)


BOUNDED = """
import resource, sys
import numpy as np
from numpy.lib.format import open_memmap
from mgu.data import DataSet, Split
from mgu.data.mapped import Mapped
from mgu.layouts import Layout
from mgu.spaces import Architecture, Cell
from mgu.training import Recipe, fit

def split(name, n):
    open_memmap(f"{name}.npy", "w+", np.uint8, (n, 1, 512, 512)).flush()  # zeros, which take no room on the disk
    return Split(Mapped(f"{name}.npy"), np.arange(n) % 2)

def fitted(data):
    architecture = Architecture(Layout(1, 1, 8, 2, 1), Cell("no_norm", False), start_filters=1)
    return fit(architecture, data, Recipe(1, 4)).result.status

few = split("few", 8)
fitted(DataSet("warm", few, few, few, ("a", "b"), ""))
held = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData")) * 1024
train = split("train", 480)
size = len(train.x) * 512 * 512
resource.setrlimit(resource.RLIMIT_DATA, (held + size // 2,) * 2)
print(fitted(DataSet("big", train, few, few, ("a", "b"), "")))
try:
    fitted(DataSet("big", Split(np.array(train.x), train.y), few, few, ("a", "b"), ""))
except (MemoryError, RuntimeError) as error:
    print("too much" if "allocate" in str(error) else error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_memory_is_bounded_whatever_the_number_of_images(tmp_path):
    done = subprocess.run([sys.executable, "-c", BOUNDED], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["finished", "too much"], done.stderr
