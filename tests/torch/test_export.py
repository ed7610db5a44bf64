"""``save`` and ``load``: every hardened network comes back the same, with mgu and without, or not at all."""

import ast
import hashlib
import json
import os
import subprocess
import sys
from collections import OrderedDict

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import reference
from mgu.errors import InputError
from mgu.torch import MultiGatedUnit, harden, load, read_card, save
from mgu.wiring import gates

LAYERS = {
    "linear": (lambda i, o: nn.Linear(i, o), (3,)),
    "linear-rank3": (lambda i, o: nn.Linear(i, o), (5, 3)),
    "conv1d": (lambda i, o: nn.Conv1d(i, o, 3, padding="same", padding_mode="circular"), (3, 6)),
    "conv2d": (lambda i, o: nn.Conv2d(i, o, 3, padding=1, stride=2, bias=False), (3, 6, 6)),
}
RUN_WITHOUT_MGU = """
import importlib.util, sys
from pathlib import Path
sys.modules["mgu"] = None
import torch
for folder in sorted(path for path in Path(".").iterdir() if path.is_dir()):
    specification = importlib.util.spec_from_file_location(folder.name, folder / "model.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    sample = torch.load(folder / "sample.pt")
    network = module.load()
    assert not network.training
    torch.testing.assert_close(network(sample["x"]), sample["y"], rtol=1e-12, atol=1e-12)
"""


def decided_unit(make, decision, bypass):
    """A unit whose channel gates are certain of a decision, with lived-in statistics, and a layer behind it."""
    unit = MultiGatedUnit(make(3, 4).double(), gates="channel", bypass=bypass)
    with torch.no_grad():
        for value in unit.operations.state_dict().values():
            if value.ndim == 1 and value.is_floating_point():
                value.uniform_(0.5, 2)
        for logits, gate in zip(unit.gates.logits, gates(unit.chain), strict=True):
            logits.fill_(60.0 if decision[gate.name] == gate.open else -60.0)
    return nn.Sequential(OrderedDict(layer_1=unit, readout=make(4, 2).double()))


@pytest.mark.parametrize("layer", LAYERS)
def test_every_hardened_network_comes_back_with_mgu_and_without(layer, tmp_path):
    make, shape = LAYERS[layer]
    torch.manual_seed(0)
    x = torch.randn(4, *shape, dtype=torch.float64)
    for bypass in ("replica", "normed", "shortcut"):
        for number, decision in enumerate(reference.decisions(gates(MultiGatedUnit(nn.Linear(2, 2)).chain))):
            soft = decided_unit(make, decision, bypass)
            with torch.no_grad():
                hard = harden(soft, [(x, soft.eval()(x))], loss=F.mse_loss).model.eval()
                y = hard(x)
            folder = save(hard, tmp_path / f"{bypass}_{number}", shape)
            torch.save({"x": x, "y": y}, folder / "sample.pt")
            with torch.no_grad():
                torch.testing.assert_close(load(folder)(x), y, rtol=1e-12, atol=1e-12)
    subprocess.run([sys.executable, "-c", RUN_WITHOUT_MGU], cwd=tmp_path, check=True)
    lint = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "."]
    subprocess.run(lint, cwd=tmp_path, check=True)


class Branches(nn.Module):
    """A forward of one's own: operators, functions, methods, a layer called twice, and one that nobody reads."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.unread = nn.Linear(2, 2)
        self.act = nn.ELU(alpha=0.5)

    def forward(self, x):
        self.unread(x.mean((2, 3)))
        y = torch.cat([self.conv(x), F.gelu(self.conv(self.act(x)))], dim=1)
        z = (1 - y) * 0.5 + y.permute(0, 1, 3, 2) / 2
        return z.reshape(x.shape[0], -1)


def small_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.SELU(), nn.Flatten(), nn.Linear(64, 3))


def saved(folder, **card):
    return save(small_network(), folder, (1, 6, 6), card)


def run_source(folder):
    scope = {"__file__": str(folder / "model.py"), "__name__": "model"}
    exec(compile((folder / "model.py").read_text(encoding="utf-8"), "model.py", "exec"), scope)
    return scope


def test_the_source_is_what_a_person_would_write(tmp_path):
    lines = (saved(tmp_path) / "model.py").read_text(encoding="utf-8").splitlines()
    start = lines.index("class Network(nn.Module):")
    assert lines[start : lines.index("def load(folder=Path(__file__).parent):") - 2] == [
        "class Network(nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        "        self.layer_0 = nn.Conv2d(1, 4, kernel_size=(3, 3))",
        "        self.layer_1 = nn.BatchNorm2d(4)",
        "        self.layer_2 = nn.SELU()",
        "        self.layer_3 = nn.Flatten()",
        "        self.layer_4 = nn.Linear(64, 3)",
        "",
        "    def forward(self, x):",
        "        x = self.layer_0(x)",
        "        x = self.layer_1(x)",
        "        x = self.layer_2(x)",
        "        x = self.layer_3(x)",
        "        x = self.layer_4(x)",
        "        return x",
    ]


def test_files_are_the_same_each_time_and_the_model_is_as_before(tmp_path):
    network = small_network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for name in ("a", "b"):
        save(network, tmp_path / name, [1, 6, 6], {"classes": ["x", "y", "z"], "decisions": [{"gate": "skip"}]})
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    for file in ("model.safetensors", "model.json", "model.py"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["model.json", "model.py", "model.safetensors"]
    card = read_card(tmp_path / "a")
    assert (card.input_shape, card.dtype, card.torch) == ((1, 6, 6), "float32", torch.__version__)
    assert card.sha256 == hashlib.sha256((tmp_path / "a" / "model.safetensors").read_bytes()).hexdigest()
    assert card.card == {"classes": ["x", "y", "z"], "decisions": [{"gate": "skip"}]}


def test_a_forward_of_ones_own_comes_back(tmp_path):
    torch.manual_seed(0)
    network, x = Branches().eval(), torch.randn(3, 2, 4, 4)
    save(network, tmp_path, (2, 4, 4))
    with torch.no_grad():
        for again in (load(tmp_path), run_source(tmp_path)["load"](tmp_path)):
            assert not any("unread" in name for name in again.state_dict())
            torch.testing.assert_close(again(x), network(x))


def test_what_was_loaded_is_saved_again_the_same(tmp_path):
    first = saved(tmp_path / "first")
    second = save(load(first), tmp_path / "second", (1, 6, 6))
    for file in ("model.safetensors", "model.json", "model.py"):
        assert (first / file).read_bytes() == (second / file).read_bytes()


def test_the_source_checks_its_weights_first(tmp_path):
    folder = saved(tmp_path)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(ValueError, match="does not hold the weights"):
        run_source(folder)["load"](folder)


@pytest.mark.parametrize("file", ["model.safetensors", "model.json"])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_flipped_bit_never_passes_for_the_network(file, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("flipped")
    whole = bytearray((saved(folder, classes=["a", "b", "c"]) / file).read_bytes())
    x = torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = load(folder)(x)
        bit = data.draw(st.integers(0, 8 * len(whole) - 1))
        whole[bit // 8] ^= 1 << bit % 8
        (folder / file).write_bytes(whole)
        try:
            again = load(folder)(x)
        except InputError:
            return
        # Only what is between JSON's words may differ.
        assert file == "model.json"
        assert torch.equal(again, y)


@pytest.mark.parametrize("file", ["model.safetensors", "model.json"])
def test_missing_and_truncated_files_are_named(file, tmp_path):
    folder = saved(tmp_path)
    whole = (folder / file).read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        (folder / file).write_bytes(whole[:length])
        with pytest.raises(InputError, match=file):
            load(folder)
    (folder / file).unlink()
    with pytest.raises(InputError, match=f"{file} is missing"):
        load(folder)


def tampered(folder, change):
    """Change the description as an attacker would, who can work out checksums too."""
    path = folder / "model.json"
    content = json.loads(path.read_text())
    del content["checksum"]
    change(content)
    checksum = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({**content, "checksum": checksum}))
    return folder


def renamed(data, old, new):
    return json.loads(json.dumps(data).replace(json.dumps(old), json.dumps(new)))


def deep(levels):
    argument = {"value": "x"}
    for _ in range(levels):
        argument = [argument]
    return argument


HOSTILE_STEPS = {
    "a layer's name": lambda n: n.update(renamed(n, "layer_0", "x); import os; os.mkdir('owned'); (x")),
    "a path": lambda n: n.update(renamed(n, "layer_0", "../../owned")),
    "a dunder": lambda n: n.update(renamed(n, "layer_0", "__class__")),
    "a module's own": lambda n: n.update(renamed(n, "layer_0", "forward")),
    "a value's name": lambda n: n["steps"][0].update(name="y = open('owned', 'w')"),
    "a layer": lambda n: n["layers"]["layer_0"].update(kind="Module"),
    "a layer that is none": lambda n: n["layers"]["layer_0"].update(kind="modules"),
    "a kind as a list": lambda n: n["layers"]["layer_0"].update(kind=["Conv2d"]),
    "a setting": lambda n: n["layers"]["layer_0"]["settings"].update(device="cuda"),
    "a setting's value": lambda n: n["layers"]["layer_0"]["settings"].update(kernel_size="os.mkdir('owned')"),
    "a huge layer": lambda n: n["layers"]["layer_4"]["settings"].update(in_features=2**40, out_features=2**40),
    "a function": lambda n: n["steps"][0].update(op="function", target="os.system"),
    "a method": lambda n: n["steps"][0].update(op="method", target="__reduce__"),
    "a method of files": lambda n: n["steps"][0].update(op="method", target="numpy"),
    "an op": lambda n: n["steps"][0].update(op="get_attr", target="__class__"),
    "a word": lambda n: n["steps"][0]["args"].append("__import__('os')"),
    "a keyword": lambda n: n["steps"][0].update(kwargs={"a=open('owned', 'w'), b": 1}),
    "a value not there yet": lambda n: n["steps"][0].update(args=[{"value": "layer_4"}]),
    "an object": lambda n: n["steps"][0].update(args=[{"value": {"value": "x"}}]),
    "deep arguments": lambda n: n["steps"][0].update(args=[deep(300)]),
    "another shape": lambda n: n["layers"]["layer_0"]["settings"].update(out_channels=5),
    "no output": lambda n: n.update(output="y"),
    "no steps": lambda n: n.update(steps=None),
    "a layer that is left over": lambda n: n["layers"].update(more=n["layers"]["layer_4"]),
}


@pytest.mark.parametrize("change", HOSTILE_STEPS)
def test_a_hostile_description_is_refused_and_runs_nothing(change, tmp_path, monkeypatch):
    folder = tampered(saved(tmp_path / "saved"), lambda content: HOSTILE_STEPS[change](content["network"]))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        load(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_description_of_another_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match="has format 2; this version of mgu reads 1"):
        load(tampered(saved(tmp_path), lambda content: content.update(format=2)))
    for shape in ([1, 5, 5], [-1], ["a"], [2**40, 2**40], None, [[1]]):
        with pytest.raises(InputError):
            load(tampered(saved(tmp_path), lambda content, shape=shape: content.update(input_shape=shape)))
    for text in ("[]", "null", "{", '{"checksum": 1}', "[" * 10**5, "1" * 10**5):
        (tmp_path / "model.json").write_text(text)
        with pytest.raises(InputError, match="not what mgu writes"):
            load(tmp_path)


WRONG_WEIGHTS = {
    "missing": lambda w: w.pop("layer_0.bias"),
    "left over": lambda w: w.update(more=torch.ones(1)),
    "another shape": lambda w: w.update({"layer_4.bias": torch.ones(4)}),
    "another format": lambda w: w.update({"layer_4.bias": torch.ones(3).double()}),
    "numbers that are none": lambda w: w.update({"layer_4.bias": torch.ones(3, dtype=torch.bool)}),
}


@pytest.mark.parametrize("change", WRONG_WEIGHTS)
def test_other_weights_are_refused_even_with_their_checksum(change, tmp_path):
    folder = saved(tmp_path)
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    WRONG_WEIGHTS[change](weights)
    data = safetensors.torch.save(weights)
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(InputError, match="weights"):
        load(tampered(folder, lambda content: content.update(sha256=hashlib.sha256(data).hexdigest())))


def imports(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


@given(label=st.text() | st.sampled_from(['"""', '\'\n"""\nimport os', "{os}", "\\", "\u202e", "\ud800", "# \r\n)"]))
@settings(max_examples=25, deadline=None)
def test_a_card_is_never_code(label, tmp_path_factory):
    folder = tmp_path_factory.mktemp("card")
    saved(folder, classes=[label, "b", "c"], **{label or "empty": label})
    source = (folder / "model.py").read_text(encoding="utf-8")
    assert set(imports(source)) <= {"torch", "safetensors", *sys.stdlib_module_names}
    assert run_source(folder)["CLASSES"] == (label, "b", "c")
    assert read_card(folder).card["classes"] == [label, "b", "c"]
    saved(folder, classes=["a", "b", "c"])
    plain = (folder / "model.py").read_text(encoding="utf-8")
    assert ast.dump(ast.parse(source)) == ast.dump(ast.parse(plain)).replace("value='a'", f"value={label!r}")


NAMES = ["x = 1; import os", "forward", "class", "é", "__init__", "self", "l", "0", "a b", "a_b", "torch"]


def test_names_of_layers_are_never_code(tmp_path):
    torch.manual_seed(0)
    network, x = nn.Sequential().eval(), torch.randn(3, 2)
    for name in NAMES:
        network._modules[name] = nn.Linear(2, 2)
    network.register_module("inner", nn.Sequential(OrderedDict(a_b=nn.Linear(2, 2))))
    save(network, tmp_path, (2,))
    source = (tmp_path / "model.py").read_text(encoding="utf-8")
    assert set(imports(source)) == {"hashlib", "pathlib", "safetensors", "torch"}
    for again in (load(tmp_path), run_source(tmp_path)["load"](tmp_path)):
        assert len(list(again.children())) == len(NAMES) + 1
        torch.testing.assert_close(again(x), network(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_the_number_format_comes_back(dtype, tmp_path):
    network, x = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).to(dtype).eval(), torch.randn(4, 3, dtype=dtype)
    save(network, tmp_path, torch.Size([3]))
    assert read_card(tmp_path).dtype == str(dtype).removeprefix("torch.")
    with torch.no_grad():
        for again in (load(tmp_path), run_source(tmp_path)["load"](tmp_path)):
            torch.testing.assert_close(again(x), network(x), rtol=0, atol=0)


@pytest.mark.parametrize("shape", [3, "ab", (1.5,), (-1,), (0, 2), None])
def test_an_input_shape_is_whole_numbers(shape, tmp_path):
    with pytest.raises(InputError, match="in whole numbers above 0"):
        save(small_network(), tmp_path, shape)


class Two(nn.Module):
    def forward(self, x):
        return x, x


class TakesTwo(nn.Module):
    def forward(self, x, y):
        return x + y


class OfData(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Reads(nn.Module):
    def forward(self, x):
        return torch.special.erf(x)


class Infinite(nn.Module):
    def forward(self, x):
        return x * float("inf")


class Unlike(nn.Module):
    """Its forward is another one each time, so that what is saved answers otherwise."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return x + self.calls


def hooked():
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda layer, inputs, output: output + 1)
    return layer


REFUSED = {
    "a unit": (lambda: MultiGatedUnit(nn.Linear(2, 2)), "MultiGatedUnit, which cannot be saved; harden"),
    "a layer": (lambda: nn.Sequential(nn.Linear(2, 2), nn.Hardshrink()), "'1' is a Hardshrink, .*Linear, Conv1d"),
    "a subclass": (lambda: nn.LazyLinear(2), "LazyLinear"),
    "a function": (lambda: nn.Sequential(Reads()), "special_erf"),
    "two inputs": (TakesTwo, "takes none, or several"),
    "two outputs": (Two, "gives several"),
    "a condition": (OfData, "cannot be followed layer by layer"),
    "hooks": (hooked, "has hooks"),
    "infinity": (Infinite, "finite numbers"),
    "an impostor": (Unlike, "differs from the network"),
    "two formats": (lambda: nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()), r"torch.float32, torch.float64"),
    "a shape": (lambda: nn.Linear(3, 2), "does not run"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_saved_is_named_and_nothing_is_written(case, tmp_path):
    make, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        save(make(), tmp_path / "folder", (2,))
    assert not (tmp_path / "folder").exists()


CLASSES_THAT_DO_NOT_FIT = [["a"], "abc", 3, [["a"], "b", "c"]]
NO_JSON = [{"loss": float("nan")}, {"x": object()}, {(1, 2): 3}]


@pytest.mark.parametrize("card", [*({"classes": classes} for classes in CLASSES_THAT_DO_NOT_FIT), *NO_JSON])
def test_a_card_that_does_not_fit_is_refused(card, tmp_path):
    with pytest.raises(InputError, match="the classes are" if "classes" in card else "plain JSON data"):
        save(small_network(), tmp_path / "folder", (1, 6, 6), card)
    assert not (tmp_path / "folder").exists()


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; give a folder"):
        saved(tmp_path / "file")


@pytest.mark.parametrize("file", ["model.safetensors", "model.json"])
def test_a_link_out_of_the_folder_or_a_pipe_is_not_read(file, tmp_path):
    folder = saved(tmp_path / "saved")
    (folder / file).rename(tmp_path / file)
    for make in (lambda path: path.symlink_to(tmp_path / file), os.mkfifo):
        make(folder / file)
        with pytest.raises(InputError, match="is no file of its own in the folder"):
            load(folder)
        (folder / file).unlink()


@pytest.mark.parametrize("file", ["model.safetensors", "model.json"])
def test_a_file_larger_than_what_it_is_to_hold_is_not_read(file, tmp_path):
    os.truncate(saved(tmp_path) / file, 2**40)
    with pytest.raises(InputError, match=f"{file} has 1,099,511,627,776 bytes; a model's has at most"):
        load(tmp_path)


@pytest.mark.parametrize("dtype", [[1], None, "int8"])
def test_a_number_format_that_is_none_is_refused(dtype, tmp_path):
    with pytest.raises(InputError, match="one of float32, float64, float16, bfloat16 is needed"):
        load(tampered(saved(tmp_path), lambda content: content.update(dtype=dtype)))


def test_weights_that_are_not_finite_are_named(tmp_path):
    folder = saved(tmp_path)
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    weights["layer_4.bias"][1] = torch.nan
    data = safetensors.torch.save(weights)
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(InputError, match=r"layer_4\.bias has numbers that are not finite"):
        load(tampered(folder, lambda content: content.update(sha256=hashlib.sha256(data).hexdigest())))
