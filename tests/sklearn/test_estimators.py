"""The estimators beyond scikit-learn's own checks: tables, weights, training on, and files."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_regression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mgu
from mgu import MGUClassifier, MGURegressor
from mgu.errors import InputError
from mgu.sklearn.rows import distinct, hold_out
from mgu.torch import MultiGatedUnit, load
from mgu.torch.export import DESCRIPTION, _sealed

QUICK = {"width": 8, "max_iter": 20, "random_state": 0}


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def fitted(iris):
    return MGUClassifier(**QUICK).fit(*iris)


@pytest.fixture(scope="module")
def mixed():
    """A table of numbers and text, both with gaps, and a class that both tell of."""
    rng = np.random.default_rng(0)
    size, colour = rng.normal(size=120), rng.choice(["red", "blue"], 120)
    y = np.where((size > 0) & (colour == "red"), "yes", "no")
    frame = pd.DataFrame({"size": size, "colour": colour})
    frame.loc[::10, "size"], frame.loc[5::10, "colour"] = np.nan, None
    return frame, y


def test_the_network_that_answers_is_plain_and_the_soft_one_is_kept(fitted, iris):
    assert not any(isinstance(module, MultiGatedUnit) for module in fitted.network_.modules())
    assert sum(isinstance(module, MultiGatedUnit) for module in fitted.soft_network_.modules()) == 2
    assert {decision.unit for decision in fitted.decisions_} == {"layer_1", "layer_2"}
    assert fitted.n_iter_ == len(fitted.history_) <= 20
    with torch.no_grad():  # features standardised by hand
        x = torch.from_numpy((iris[0] - fitted.scaling_.mean) / fitted.scaling_.std)
        own = torch.softmax(fitted.network_(x), dim=1).numpy()
    np.testing.assert_allclose(fitted.predict_proba(iris[0]), own, rtol=1e-12)
    np.testing.assert_allclose(fitted.predict_log_proba(iris[0]), np.log(own), rtol=1e-9)


def test_a_regressor_answers_in_the_targets_unit():
    X, y = make_regression(200, 3, noise=0.1, random_state=0)
    model = MGURegressor(max_iter=60, random_state=0).fit(X, 1000 + 50 * y)
    assert model.score(X, 1000 + 50 * y) > 0.9


def test_weights_decide_between_rows_that_contradict_each_other():
    """Rows without features to tell them apart: the best answers are the weighted share and the weighted mean."""
    X, y, weight = np.zeros((40, 1)), np.arange(40) % 2, np.where(np.arange(40) % 2, 3.0, 1.0)
    X[:, 0] = np.linspace(0, 1e-9, 40)  # constant but for rows that are not the same
    options = {"width": 4, "max_iter": 200, "early_stopping": False, "random_state": 0, "learning_rate": 0.01}
    assert MGUClassifier(**options).fit(X, y, weight).predict_proba(X)[:, 1].mean() == pytest.approx(0.75, abs=0.05)
    assert MGURegressor(**options).fit(X, y, weight).predict(X).mean() == pytest.approx(0.75, abs=0.05)
    by_class = MGUClassifier(class_weight={1: 3.0}, **options).fit(X, y)
    np.testing.assert_array_equal(
        by_class.predict_proba(X), MGUClassifier(**options).fit(X, y, weight).predict_proba(X)
    )


def test_balanced_classes_weigh_the_same(iris):
    X, y = iris[0][:120], iris[1][:120]  # 50, 50, 20
    balanced = MGUClassifier(class_weight="balanced", **QUICK).fit(X, y)
    by_hand = MGUClassifier(class_weight={0: 120 / 150, 1: 120 / 150, 2: 120 / 60}, **QUICK).fit(X, y)
    np.testing.assert_allclose(balanced.predict_proba(X), by_hand.predict_proba(X), rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=30))
def test_a_weight_is_a_number_of_rows(entries):
    x, y, weight = np.array(entries, dtype=np.float64).T
    if not weight.any():
        return
    weighted = distinct(x[:, None], y, weight)
    again = np.repeat(np.arange(len(x)), weight.astype(int))[::-1]
    repeated = distinct(x[again, None], y[again], np.ones(len(again)))
    for one, two in ((weighted.x, repeated.x), (weighted.y, repeated.y), (weighted.weight, repeated.weight)):
        np.testing.assert_array_equal(one, two)


def test_a_weight_is_a_number_of_rows_where_there_are_gaps(iris):
    rng = np.random.default_rng(0)
    X, weight = np.where(rng.random((150, 4)) < 0.15, np.nan, iris[0]), rng.integers(0, 4, 150)
    weighted = MGUClassifier(**QUICK).fit(X, iris[1], weight)
    repeated = MGUClassifier(**QUICK).fit(np.repeat(X, weight, axis=0), np.repeat(iris[1], weight))
    assert weighted.features_ == repeated.features_
    medians = np.nanmedian(np.repeat(X, weight, axis=0), axis=0)
    np.testing.assert_allclose([column.median for column in weighted.features_.columns], medians, rtol=1e-12)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=100), st.floats(0.05, 0.5), st.integers(0, 9))
def test_what_is_held_out_is_stratified(labels, share, seed):
    y = np.array(labels, dtype=np.float64)
    held = hold_out(y, share, 5, seed)
    every = max(2, round(1 / share))
    for label in set(labels):
        count, taken = labels.count(label), int(held[y == label].sum())
        assert taken < count
        assert taken <= -(-count // every)
        assert count == 1 or taken >= count // every


def test_text_and_gaps_of_a_frame(mixed):
    X, y = mixed
    model = MGUClassifier(max_iter=60, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.85  # the gaps hide what a fifth of the rows would tell
    assert model.n_features_in_ == 2
    assert model.feature_names_in_.tolist() == ["size", "colour"]
    assert model.features_.names == ("size", "size=(missing)", "colour=blue", "colour=red", "colour=(missing)")
    assert model.predict(pd.DataFrame({"size": [1.0, np.nan], "colour": ["red", "green"]})).tolist()[0] == "yes"
    with pytest.raises(InputError, match="fitted on a pandas DataFrame with columns of text"):
        model.predict(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X.rename(columns={"size": "length"}))


def test_a_column_of_text_costs_the_numbers_beside_it_nothing():
    X = pd.DataFrame({"time": 1.7e9 + np.linspace(0, 100, 200), "text": ["a", "b"] * 100})
    model = MGURegressor(width=8, random_state=0).fit(X, np.linspace(0, 1, 200))
    assert model.scaling_.std[0] == pytest.approx(np.linspace(0, 100, 200).std(), rel=1e-9)
    assert model.score(X, np.linspace(0, 1, 200)) > 0.98


def test_gaps_of_an_array_become_the_median_and_an_indicator(iris):
    X = iris[0].copy()
    X[::7, 1] = np.nan
    model = MGUClassifier(**QUICK).fit(X, iris[1])
    filled = np.column_stack([np.where(np.isnan(X), np.nanmedian(X, axis=0), X), np.isnan(X[:, 1])])
    np.testing.assert_allclose(model.scaling_.mean[:5], filled.mean(axis=0), rtol=1e-12)
    assert model.score(X, iris[1]) > 0.8


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (pd.DataFrame({"day": pd.to_datetime(["2024-01-01", "2024-01-02"] * 5)}), "'day' holds dates"),
        (pd.DataFrame({"name": [f"n{i}" for i in range(10)]}), "'name' has 10 different values"),
        (np.array([["red"], ["blue"]] * 5), "fit on a pandas DataFrame"),
        (np.full((10, 2), [1.0, np.nan]), "column 1 is missing in all 10 rows"),
        (np.full((10, 1), np.inf), "infinity"),
    ],
)
def test_what_cannot_be_learned_from_is_named(X, words):
    with pytest.raises(ValueError, match=words):
        MGUClassifier(**QUICK).fit(X, [0, 1] * 5)


def test_sparse_tables_are_refused(iris, fitted):
    with pytest.raises(TypeError, match="Sparse data was passed"):
        MGUClassifier(**QUICK).fit(sparse.csr_array(iris[0]), iris[1])
    with pytest.raises(TypeError, match="Sparse data was passed"):
        fitted.predict(sparse.csr_array(iris[0]))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"width": 0}, "width must be 'auto' or a whole number of at least 1; 0 was given"),
        ({"depth": 1.5}, "depth must be a whole number"),
        ({"dropout": 1.0}, "dropout must be a number from 0 to below 1"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0; nan was given"),
        ({"batch_size": "all"}, "batch_size must be 'auto' or"),
        ({"validation_fraction": 0.7}, "validation_fraction must be"),
        ({"activation": "sine"}, "unknown activation 'sine'"),
        ({"unit": {"gates": "wide"}}, "wide"),
        ({"unit": {"foo": 1}}, "unit must be None or a dict of gates, prior, .*'foo': 1.* was given"),
        ({"unit": [1]}, "unit must be None or a dict"),
        ({"early_stopping": "no"}, "early_stopping must be True or False; 'no' was given"),
        ({"class_weight": {7: 1.0, "x": 3.0}}, "class_weight has 7, which is no class; the classes are 0, 1, 2"),
        ({"class_weight": {"1": 5.0}}, "class_weight has '1'"),
        ({"class_weight": "even"}, "class_weight must be None, 'balanced' or a dict"),
    ],
)
def test_parameters_out_of_range(iris, parameters, words):
    with pytest.raises(InputError, match=words):
        MGUClassifier(**parameters).fit(*iris)


def test_it_is_searched_in_a_pipeline(iris):
    pipeline = make_pipeline(StandardScaler(), MGUClassifier(**{**QUICK, "learning_rate": 0.01}))
    search = GridSearchCV(pipeline, {"mguclassifier__depth": [1, 2]}, cv=2, error_score="raise").fit(*iris)
    assert search.best_score_ > 0.8
    assert clone(search.best_estimator_).get_params()["mguclassifier__width"] == 8


def test_passes_one_by_one_then_hardened(iris):
    X, y = iris
    model = MGUClassifier(**{**QUICK, "learning_rate": 0.01})
    order = np.random.default_rng(0).permutation(150)
    for _ in range(15):
        for part in np.split(order, 3):
            model.partial_fit(X[part], y[part], classes=[0, 1, 2])
    assert model.n_iter_ == 45
    assert model.score(X, y) > 0.9
    with pytest.raises(InputError, match="call harden"):
        model.save("nowhere")
    with pytest.raises(InputError, match="y holds 3, which is none of the classes"):
        model.partial_fit(X[:2], [0, 3])
    before = log_loss(y, model.predict_proba(X))
    hardened = model.harden(X, y)
    assert hardened.soft_loss == pytest.approx(before, rel=1e-6)
    assert hardened.hard_loss == pytest.approx(log_loss(y, model.predict_proba(X)), rel=1e-6)
    assert not any(isinstance(module, MultiGatedUnit) for module in model.network_.modules())
    assert model.partial_fit(X, y).n_iter_ == 46


def test_a_pass_needs_the_classes_of_the_first(iris):
    model = MGUClassifier(**QUICK).partial_fit(*iris, classes=[0, 1, 2])
    model.partial_fit(*iris, classes=[2, 1, 0])
    with pytest.raises(InputError, match=r"classes are \[0, 1, 2, 3\], but the estimator began with \[0, 1, 2\]"):
        model.partial_fit(*iris, classes=[0, 1, 2, 3])
    with pytest.raises(InputError, match="'balanced' needs all rows at once"):
        MGUClassifier(class_weight="balanced", **QUICK).partial_fit(*iris)


@pytest.mark.parametrize("ask", ["harden", "explain"])
def test_targets_are_checked_after_a_fit_too(ask, fitted, iris):
    X, y = make_regression(40, 3, random_state=0)
    model = MGURegressor(**QUICK).fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match="NaN"):
        getattr(model, ask)(X, np.where(np.arange(40) == 3, np.nan, y))
    with pytest.raises(ValueError, match="should be a 1d array"):
        getattr(model, ask)(X, np.stack([y, y], axis=1))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        getattr(model, ask)(X, y[:-3])
    np.testing.assert_array_equal(model.predict(X), before)
    with pytest.raises(InputError, match=r"none of the classes .* leave such rows out, or begin anew"):
        getattr(fitted, ask)(iris[0], iris[1] + 1)


def test_a_constant_quantity_is_answered(iris):
    model = MGURegressor(**QUICK).fit(iris[0], np.full(150, 3.1))
    np.testing.assert_allclose(model.predict(iris[0]), 3.1, rtol=1e-6)


def test_a_warm_start_goes_on_from_the_plain_network(iris):
    X, y = iris
    model = MGUClassifier(warm_start=True, learning_rate=1e-9, **QUICK).fit(X, y)
    first, decisions = model.predict_proba(X), model.decisions_
    model.fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), first, atol=0.05)  # but for the batch norms' statistics
    assert model.decisions_ == decisions
    with pytest.raises(InputError, match="none of the classes"):
        model.fit(X, y + 1)


def test_it_stops_early_and_can_be_told_not_to(iris):
    options = {**QUICK, "max_iter": 40, "learning_rate": 0.05}
    assert MGUClassifier(n_iter_no_change=2, early_stopping=True, **options).fit(*iris).n_iter_ < 40
    assert MGUClassifier(n_iter_no_change=2, **options).fit(*iris).n_iter_ == 40


def test_the_global_random_state_is_left_alone(iris):
    before = torch.get_rng_state()
    MGUClassifier(**QUICK).fit(*iris)
    assert torch.equal(torch.get_rng_state(), before)


def test_explain_tells_of_each_gate(fitted, iris):
    diagnosis = fitted.explain(*iris)
    assert [unit.name for unit in diagnosis.units] == ["layer_1", "layer_2"]
    with torch.no_grad():
        x = torch.from_numpy((iris[0] - fitted.scaling_.mean) / fitted.scaling_.std)
        own = log_loss(iris[1], torch.softmax(fitted.soft_network_(x), dim=1).numpy())
    assert diagnosis.loss == pytest.approx(own, rel=1e-6)
    assert fitted.explain(iris[0]).loss is None


def test_saved_and_loaded(fitted, iris, tmp_path):
    fitted.save(tmp_path / "iris")
    again = MGUClassifier.load(tmp_path / "iris")
    np.testing.assert_array_equal(again.predict_proba(iris[0]), fitted.predict_proba(iris[0]))
    assert again.get_params() == fitted.get_params()
    assert again.decisions_ == fitted.decisions_
    assert again.explain(*iris).loss == pytest.approx(fitted.explain(*iris).loss, rel=1e-12)
    with torch.no_grad():
        x = torch.from_numpy(fitted.scaling_.apply(iris[0]))
        assert torch.equal(load(tmp_path / "iris")(x).argmax(1), torch.from_numpy(fitted.predict(iris[0])))
    with pytest.raises(InputError, match="holds MGUClassifier, not an MGURegressor"):
        MGURegressor.load(tmp_path / "iris")
    card = json.loads((tmp_path / "iris" / "model.json").read_text())
    assert card["card"]["fitted"]["classes_"]["values"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (["fitted", "width_"], 10**7),
        (["fitted", "width_"], 30_000),
        (["parameters", "depth"], 10**6),
        (["fitted", "classes_", "values"], [[0], [1, 2]]),
        (["fitted", "classes_", "dtype"], "<m8"),
        (["fitted", "scaling_", "mean"], [[0.0], [1.0, 2.0]]),
        (["fitted", "scaling_", "std"], [0.0] * 4),
        (["fitted", "features_"], None),
        (["fitted", "n_features_in_"], 3),
        (["fitted"], {}),
        ([], [1]),
    ],
)
def test_a_folder_that_no_estimator_wrote_is_refused(where, value, fitted, tmp_path):
    content = json.loads((fitted.save(tmp_path / "iris") / DESCRIPTION).read_text())
    content.pop("checksum")
    content["card"] = changed(content["card"], where, value)
    (tmp_path / "iris" / DESCRIPTION).write_bytes(_sealed(content))
    with pytest.raises(InputError):
        MGUClassifier.load(tmp_path / "iris")


def changed(data, where, value):
    return {**data, where[0]: changed(data[where[0]], where[1:], value)} if where else value


def test_wide_text_is_not_taken_at_its_word(mixed, tmp_path):
    model = MGUClassifier(**QUICK).fit(*mixed)
    content = json.loads((model.save(tmp_path / "mixed") / DESCRIPTION).read_text())
    content.pop("checksum")
    content["card"] = changed(content["card"], ["fitted", "classes_", "dtype"], "<U300000000")
    (tmp_path / "mixed" / DESCRIPTION).write_bytes(_sealed(content))
    assert MGUClassifier.load(tmp_path / "mixed").classes_.tolist() == ["no", "yes"]


def test_a_link_out_of_the_folder_is_not_followed(fitted, tmp_path):
    fitted.save(tmp_path / "iris")
    (tmp_path / "iris" / "soft.safetensors").rename(tmp_path / "elsewhere")
    (tmp_path / "iris" / "soft.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="no file of its own in the folder"):
        MGUClassifier.load(tmp_path / "iris")


def test_a_table_with_text_and_class_weights_comes_back(mixed, tmp_path):
    X, y = mixed
    model = MGUClassifier(class_weight={"yes": 2.0, "no": 1.0}, **QUICK).fit(X, y)
    again = MGUClassifier.load(model.save(tmp_path / "mixed"))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.class_weight == {"yes": 2.0, "no": 1.0}
    assert again.feature_names_in_.tolist() == ["size", "colour"]


def test_a_regressor_comes_back_from_a_file_and_from_a_pickle(tmp_path):
    X, y = make_regression(60, 3, random_state=0)
    model = MGURegressor(**QUICK).fit(X, y)
    for again in (MGURegressor.load(model.save(tmp_path / "y")), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(InputError, match="random_state is a RandomState, which cannot be saved"):
        model.set_params(random_state=np.random.RandomState(0)).save(tmp_path / "z")


def test_they_are_names_of_the_package_itself():
    assert mgu.MGUClassifier is MGUClassifier
    with pytest.raises(AttributeError, match="has no attribute 'MGUCluster'"):
        _ = mgu.MGUCluster
