"""What things say of themselves where they are printed: what they are, in a line."""

from dataclasses import replace
from inspect import signature

import numpy as np
import pytest
import torch
from click import Command
from torch import nn

from mgu.cli import SECTIONS
from mgu.comparison import Comparison
from mgu.data import load_data
from mgu.history import Hardening
from mgu.recipe import Recipe
from mgu.sizing import PATIENCE
from mgu.spaces import load_space
from mgu.study.trial import Record, StudyView
from mgu.torch import MultiGatedUnit, explain, harden
from mgu.training import fit
from mgu.wiring import OPTIONS
from samples import RESULT, TRIALS


def test_a_unit_tells_its_gates_and_what_is_not_the_default():
    first = repr(MultiGatedUnit(nn.Linear(2, 2))).splitlines()[1]
    assert first == "  gates='channel'"
    options = {"gates": "squeeze", "prior": "neutral", "form": "equations", "bypass": "replica"}
    unit = MultiGatedUnit(nn.Linear(2, 2), **options, residual_gate=False, processors=["rms_norm"])
    unit.sharpness = 3.0
    assert unit.extra_repr() == (
        "gates='squeeze', prior='neutral', residual_gate=False, form='equations', bypass='replica', "
        "processors=('rms_norm',), sharpness=3.0"
    )
    assert "prior=[1.0, 0.0, 0.0, 0.0, 0.0]" not in repr(unit)
    assert "prior=(1.0, 0, 0, 0, 0)" in repr(MultiGatedUnit(nn.Linear(2, 2), prior=[1.0, 0, 0, 0, 0]))


def test_the_options_have_one_set_of_defaults():
    own = {name: signature(MultiGatedUnit).parameters[name].default for name in OPTIONS}
    assert own == OPTIONS
    commands = {command.name: command for commands in SECTIONS.values() for command in commands}
    for name in ("fit", "compare"):
        command: Command = commands[name]
        asked = {parameter.name: parameter.default for parameter in command.params}
        own = {"patience": PATIENCE, "batch_size": None} if name == "fit" else {}
        assert {k: asked[k] for k in Recipe.__dataclass_fields__ if k != "decay"} == {
            k: v for k, v in {**vars(Recipe()), **own}.items() if k != "decay"
        }
        assert {k: asked[k] for k in OPTIONS if k != "processors"} == {
            k: v for k, v in OPTIONS.items() if k != "processors"
        }


@pytest.fixture(scope="module")
def digits():
    return load_data("digits", limit=60)


def test_data(digits):
    test = len(digits.test.y)
    assert repr(digits) == (
        f"<DataSet digits: 50 training, 10 validation, {test} test samples of shape (1, 8, 8); 10 classes>"
    )
    assert repr(digits.validation) == "<Split of 10 samples: x (10, 1, 8, 8) uint8, y int64>"
    assert repr(load_data("diabetes")).endswith("of shape (10,); a quantity>")


def test_a_comparison_and_what_is_on_record(digits):
    comparison = Comparison(digits, load_space("digits"))
    assert repr(comparison) == f"<Comparison of 24 plain and 1 MGU networks with torch on cpu, {digits!r}>"
    records = (Record(TRIALS[0], "finished", 1, RESULT), Record(TRIALS[1]))
    assert repr(StudyView({}, {}, records)) == "<StudyView: 1 of 2 trials have ended>"
    assert repr(RESULT) == "<Result finished: 2 epochs in 2.5 s, validation 0.8000, test 0.7000>"
    hardening = Hardening(1, 20, (), 0.1, 64, 0.2, 0.1, "", RESULT)
    assert repr(hardening) == f"<Hardening after epoch 1 by 0 decisions: {RESULT!r}>"
    assert repr(replace(RESULT, hardening=hardening)).endswith("test 0.7000, hardened>")


def test_a_trained_network_is_a_line(digits):
    space = load_space("digits")
    fitted = fit(space.models()["DIG_001"], digits, Recipe(epochs=1))
    assert repr(fitted).startswith(f"<Fitted Sequential of {fitted.learner.size:,} weights: <Result finished: 1 epochs")


def test_a_diagnosis_and_what_was_hardened_are_a_line_each():
    torch.manual_seed(0)
    model = nn.Sequential(MultiGatedUnit(nn.Linear(3, 3)), MultiGatedUnit(nn.Linear(3, 2)))
    sample = [(torch.randn(20, 3), torch.from_numpy(np.arange(20) % 2))]
    found = explain(model, sample)
    assert repr(found) == f"<Diagnosis of 2 units, 10 gates, loss {found.loss:.4f}; alarms: undecided, uniform>"
    assert repr(explain(model, [sample[0][0]])) == "<Diagnosis of 2 units, 10 gates; alarms: undecided>"
    assert repr(found.units[0]) == "<UnitReport 0: bn_order 0.50, bn_ln 0.98, norm 0.98, residual 0.98, skip 0.02>"
    assert repr(found.units[0].gates[4]) == "<GateReport skip: mean 0.02, for Processed>"
    hardened = harden(model, sample)
    hard = f"soft accuracy {100 * hardened.soft_acc:.2f} %, hard accuracy {100 * hardened.hard_acc:.2f} %"
    assert repr(hardened).startswith(f"<Hardened by {len(hardened.decisions)} decisions: {hard}")
    assert ("with a warning" in repr(hardened)) == bool(hardened.warning)
