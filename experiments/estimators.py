"""The estimators with their defaults against scikit-learn's, by cross-validation on tables.

    python experiments/estimators.py OUT_FOLDER [CSV_FOLDER]

The tables are scikit-learn's bundled ones, and each NAME.csv of CSV_FOLDER, whose last column is the target: a quantity
where it holds more than 20 different numbers. Each model is fitted on 4 of 5 parts and scored on the fifth, accuracy or
R², over 3 seeds, which are those of the parts too. The MLP's hidden sizes are chosen by GridSearchCV, 3 parts, on
each training part, on standardised numbers and targets; boosting has its defaults. Each score is a line of
OUT_FOLDER/scores.csv as soon as it is there; started again, those are left out. Printed, and written to
OUT_FOLDER/table.md, is the table; seconds are of processor time. The tables by which MGU's defaults were chosen are
marked and count in no rank.
"""

import csv
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from mgu import MGUClassifier, MGURegressor
from mgu.files import write_whole

COLUMNS = ("set", "rows", "features", "task", "seed", "part", "model", "score", "fit_s")
BUNDLED = ("iris", "wine", "breast_cancer", "diabetes", "digits")
#: By these MGU's defaults were chosen.
CHOSEN_BY = ("wine", "breast_cancer", "diabetes")
SEEDS, PARTS, SEARCH_PARTS = 3, 5, 3
HIDDEN = [(32,), (128,), (32, 32), (128, 128)]
#: More different numbers than this are a quantity.
MAX_CLASSES = 20

Table = tuple[pd.DataFrame, Any]


def mgu_estimator(regression: bool, seed: int) -> Any:
    return (MGURegressor if regression else MGUClassifier)(random_state=seed)


def tuned_mlp(regression: bool, seed: int) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore", min_frequency=0.01, sparse_output=False)
    prepared = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")), (words, make_column_selector(dtype_exclude="number"))
    )
    if regression:
        mlp = TransformedTargetRegressor(MLPRegressor(random_state=seed, max_iter=300), transformer=StandardScaler())
        sizes = "transformedtargetregressor__regressor__hidden_layer_sizes"
    else:
        mlp, sizes = MLPClassifier(random_state=seed, max_iter=300), "mlpclassifier__hidden_layer_sizes"
    return GridSearchCV(make_pipeline(prepared, mlp), {sizes: HIDDEN}, cv=SEARCH_PARTS)


def boosting(regression: bool, seed: int) -> Any:
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    prepared = make_column_transformer(
        ("passthrough", make_column_selector(dtype_include="number")),
        (codes, make_column_selector(dtype_exclude="number")),
    )
    kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    return make_pipeline(prepared, kind(random_state=seed))


MODELS: Mapping[str, Callable[[bool, int], Any]] = {
    "MGU": mgu_estimator,
    "tuned MLP": tuned_mlp,
    "HistGradientBoosting": boosting,
}


def tables(folder: Path | None) -> Iterator[tuple[str, Table]]:
    for name in BUNDLED:
        found = getattr(datasets, f"load_{name}")(as_frame=True)
        yield name, (found.data, found.target.to_numpy())
    for path in sorted(folder.glob("*.csv")) if folder else ():
        frame = pd.read_csv(path)
        frame = frame[frame.iloc[:, -1].notna()]
        yield path.stem, (frame.iloc[:, :-1], frame.iloc[:, -1].to_numpy())


def is_quantity(y: Any) -> bool:
    return bool(np.issubdtype(y.dtype, np.number)) and len(np.unique(y)) > MAX_CLASSES


def scores(name: str, table: Table, seed: int, done: set[tuple[str, ...]]) -> Iterator[dict[str, Any]]:
    """A row for each part and model that is not done."""
    x, y = table
    regression = is_quantity(y)
    parts = (KFold if regression else StratifiedKFold)(PARTS, shuffle=True, random_state=seed)
    for part, (train, test) in enumerate(parts.split(x, y)):
        for model, make in MODELS.items():
            if (name, str(seed), str(part), model) in done:
                continue
            begun = time.process_time()
            estimator = make(regression, seed).fit(x.iloc[train], y[train])
            fit_s = time.process_time() - begun
            score = estimator.score(x.iloc[test], y[test])
            task = "R²" if regression else "accuracy"
            yield dict(zip(COLUMNS, (name, *x.shape, task, seed, part, model, score, fit_s), strict=True))


def table_of(rows: list[dict[str, str]]) -> str:
    """Per set and model: the mean score, the deviation of the seeds' means, and the mean seconds of a fit."""
    lines = ["| set | rows, features | score | " + " | ".join(MODELS) + " |", "|---" * (3 + len(MODELS)) + "|"]
    ranks: dict[str, list[float]] = {model: [] for model in MODELS}
    for name in dict.fromkeys(row["set"] for row in rows):
        own = [row for row in rows if row["set"] == name]
        means = {model: seed_means(own, model) for model in MODELS}
        if not all(means.values()):
            continue
        order = pd.Series({model: fmean(found) for model, found in means.items()}).rank(ascending=False)
        for model in MODELS if name not in CHOSEN_BY else ():
            ranks[model].append(order[model])
        cells = [
            f"{fmean(means[model]):.3f}"
            + (f" ± {stdev(means[model]):.3f}" if len(means[model]) > 1 else "")
            + f", {fmean(float(row['fit_s']) for row in own if row['model'] == model):.2f} s"
            for model in MODELS
        ]
        lines.append(
            f"| {name}{'*' * (name in CHOSEN_BY)} | {own[0]['rows']}, {own[0]['features']} | {own[0]['task']} | "
            + " | ".join(cells)
            + " |"
        )
    mean_ranks = " | ".join(f"{fmean(found):.2f}" if found else "" for found in ranks.values())
    return "\n".join([*lines, f"| mean rank | | | {mean_ranks} |"])


def seed_means(rows: list[dict[str, str]], model: str) -> list[float]:
    own = [row for row in rows if row["model"] == model]
    return [
        fmean(float(row["score"]) for row in own if row["seed"] == seed) for seed in sorted({r["seed"] for r in own})
    ]


def read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main(out: Path, folder: Path | None) -> None:
    out.mkdir(parents=True, exist_ok=True)
    path = out / "scores.csv"
    done = {(row["set"], row["seed"], row["part"], row["model"]) for row in read(path)}
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if not done:
            writer.writeheader()
        for name, table in tables(folder):
            for seed in range(SEEDS):
                for row in scores(name, table, seed, done):
                    writer.writerow(row)
                    file.flush()
                    print(row, flush=True)
    text = table_of(read(path))
    command = " ".join(["python experiments/estimators.py", *sys.argv[1:]])
    write_whole(out / "table.md", f"    {command}\n\n{text}\n".encode())
    print(text)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLPs that have not converged
        main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
