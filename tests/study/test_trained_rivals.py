"""The models of trained rivals, and what tells their trials from others."""

import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mgu.errors import InputError
from mgu.rivals import STRATEGIES
from mgu.spaces import Cell, load_space
from mgu.study.ledger import FILE, Ledger, read_study
from mgu.study.trained_rivals import TRAINED_RIVALS, rival_models, title
from mgu.study.trial import Estimator, Trial
from mgu.training import ESTIMATORS

RESULTS = Path(__file__).parents[2] / "results"
SETTINGS = {"training": {"epochs": 3}}


def test_switchable_normalization_has_the_mgu_networks_layouts():
    space = load_space("mnist")
    found = rival_models(["switchable"], space)
    mgu = space.models()["MNI_MGU_001"]
    assert found == {
        "MNI_SN_001": ("switchable", replace(mgu, cell=Cell("sn", False))),
        "MNI_SN_002": ("switchable", replace(mgu, cell=Cell("sn", True))),
    }
    several = replace(space, mgu_layouts=space.layouts)
    layouts = [architecture.layout for _, architecture in rival_models(["switchable"], several).values()]
    assert layouts == [layout for layout in space.layouts for _ in range(2)]
    assert rival_models([], space) == {}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["switching"], "unknown rival 'switching'; allowed: switchable, boosting, mlp"),
        (["switchable", "switchable"], "rival 'switchable' is named more than once"),
        ("switchable", r"rivals must be a sequence of names, such as \['switchable'\]"),
    ],
)
def test_what_is_refused(names, message):
    with pytest.raises(InputError, match=message):
        rival_models(names, load_space("digits"))


def test_estimators_are_one_model_each():
    found = rival_models(["boosting", "mlp"], load_space("table"))
    assert found == {
        "TAB_HGB_001": ("boosting", Estimator("hist_gradient_boosting")),
        "TAB_MLP_001": ("mlp", Estimator("mlp")),
    }
    assert {architecture.name for _, architecture in found.values()} == set(ESTIMATORS)


def test_an_estimators_trial_comes_back_from_the_ledger(tmp_path):
    trials = [Trial("TAB_HGB_001", Estimator("hist_gradient_boosting"), 0, seed, "boosting") for seed in (0, 1)]
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        assert len(set(ledger.add(trials, SETTINGS))) == 2
    assert [record.trial for record in read_study(tmp_path).records] == trials
    assert {(t.kind, t.is_mgu, t.layout, t.norm, t.residual) for t in trials} == {("rival", False, *["N/A"] * 3)}


def test_titles():
    assert title("switchable") == TRAINED_RIVALS["switchable"].title == "Switchable Normalization"
    assert title("no longer known") == "no longer known"


def test_a_rivals_trial_is_none_of_the_grids_with_the_same_cell(tmp_path):
    _, architecture = rival_models(["switchable"], load_space("digits"))["DIG_SN_001"]
    plain = Trial("DIG_025", architecture, 10, 0)
    rival = replace(plain, model_name="DIG_SN_001", rival="switchable")
    unit = replace(plain, model_name="DIG_MGU_001", architecture=replace(architecture, cell=None))
    assert [trial.kind for trial in (plain, rival, unit)] == ["plain", "rival", "mgu"]
    assert [trial.is_mgu for trial in (plain, rival, unit)] == [False, False, True]
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        ledger.add([plain, unit, rival], SETTINGS)
    assert [record.trial for record in read_study(tmp_path).records] == [plain, unit, rival]


@pytest.mark.parametrize("study", sorted(path.parent.name for path in RESULTS.glob(f"*/{FILE}")))
def test_published_studies_keep_their_trials_where_a_rival_is_added(study, tmp_path):
    """A published study, copied to be written to."""
    shutil.copy(RESULTS / study / FILE, tmp_path)
    before = read_study(tmp_path)
    assert before.records
    model = replace(before.records[0].trial, model_name="X_SN_001", rival="switchable")
    with Ledger.open(tmp_path, before.settings) as ledger:
        keys = ledger.add([*(record.trial for record in before.records), model], before.settings)
        assert [ledger.record(key) for key in keys[:-1]] == list(before.records)
    after = read_study(tmp_path).records
    assert after[:-1] == before.records
    assert asdict(after[-1].trial) == asdict(model)


def test_the_documentation_has_every_name():
    text = (Path(__file__).parents[2] / "docs" / "fairness.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE))
    assert documented == {*STRATEGIES, *TRAINED_RIVALS}
