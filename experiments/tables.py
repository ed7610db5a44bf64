"""The tables that the estimators are judged by, as CSV files whose last column is the target.

    python experiments/tables.py CLONES OUT_FOLDER

CLONES holds git clones of the repositories below, each in a folder of its owner and name with a plus sign between:
git clone --bare https://github.com/OWNER/NAME CLONES/OWNER+NAME. Of a larger table 2,500 rows are drawn.
"""

import subprocess
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pandas as pd

MOST_ROWS = 2500


@dataclass(frozen=True)
class Source:
    """A file of a repository at a commit; without a ``target`` it has no line of names, and its last column is it."""

    repository: str
    commit: str
    path: str
    target: str | None = None
    drop: tuple[str, ...] = ()


BROWNLEE = "jbrownlee/Datasets", "d20fcb6402ae34e653d4513b00f39257bb37ed7f"
SEABORN = "mwaskom/seaborn-data", "71e2436a092d714350de0fc409ca8a8714e7e78f"
GERON = "ageron/handson-ml2", "1e2115277b50f6c584cd668fa30e3af309a5b136"

SOURCES = {
    "ionosphere": Source(*BROWNLEE, "ionosphere.csv"),
    "sonar": Source(*BROWNLEE, "sonar.csv"),
    "pima": Source(*BROWNLEE, "pima-indians-diabetes.csv"),
    "german_credit": Source(*BROWNLEE, "german.csv"),
    "wine_quality": Source(*BROWNLEE, "winequality-red.csv"),
    "titanic": Source(*SEABORN, "titanic.csv", "survived", drop=("alive",)),
    "penguins": Source(*SEABORN, "penguins.csv", "species"),
    "abalone": Source(*BROWNLEE, "abalone.csv"),
    "boston": Source(*BROWNLEE, "housing.csv"),
    "mpg": Source(*SEABORN, "mpg.csv", "mpg", drop=("name",)),
    "california": Source(*GERON, "datasets/housing/housing.csv", "median_house_value"),
    "diamonds": Source(*SEABORN, "diamonds.csv", "price"),
}


def table(clones: Path, source: Source) -> pd.DataFrame:
    clone = clones / source.repository.replace("/", "+")
    shown = ["git", "-C", str(clone), "show", f"{source.commit}:{source.path}"]
    text = StringIO(subprocess.run(shown, capture_output=True, text=True, check=True).stdout)
    if source.target is None:
        frame = pd.read_csv(text, header=None, na_values="?")
        frame.columns = pd.Index([*(f"x{i}" for i in frame.columns[:-1]), "target"])
    else:
        frame = pd.read_csv(text)
        target = frame.pop(source.target)
        frame = frame.drop(columns=list(source.drop)).assign(**{source.target: target})
    frame = frame[frame.iloc[:, -1].notna()]
    return frame if len(frame) <= MOST_ROWS else frame.sample(MOST_ROWS, random_state=0).sort_index()


def main(clones: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, source in SOURCES.items():
        frame = table(clones, source)
        frame.to_csv(out / f"{name}.csv", index=False)
        print(f"{name}: {len(frame)} rows, {frame.shape[1] - 1} columns and the target {frame.columns[-1]}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
