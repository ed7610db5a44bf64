"""Predictive analytics, announced by the paper and never reported: MGU over linear layers on real tables.

    python experiments/tabular.py FOLDER [OPTION ...]

For each set it is this command, the arguments as in SETS, your options at its end:

    mgu compare SET --rivals all,switchable,boosting,mlp --seeds 3 --out results/tabular/NAME

FOLDER has titanic.csv, penguins.csv, mpg.csv and diamonds.csv of https://github.com/mwaskom/seaborn-data, and
housing.csv of https://github.com/ageron/handson-ml2 (datasets/housing); the other sets are scikit-learn's. Started
again, what is done stays.
"""

import shlex
import sys
from pathlib import Path

from mgu.cli import main

SETS = {
    "iris": "iris",
    "wine": "wine",
    "breast_cancer": "breast_cancer",
    "diabetes": "diabetes",
    "penguins": "{folder}/penguins.csv --target species",
    "titanic": "{folder}/titanic.csv --target survived --drop alive",
    "mpg": "{folder}/mpg.csv --target mpg --drop name",
    "housing": "{folder}/housing.csv --target median_house_value --task regression --limit 6000",
    "diamonds": "{folder}/diamonds.csv --target price --task regression --limit 6000",
}

if __name__ == "__main__":
    folder, *own = sys.argv[1:]
    for name, data in SETS.items():
        print(f"\n== {name}", flush=True)
        options = f"--rivals all,switchable,boosting,mlp --seeds 3 --out {Path('results/tabular') / name}"
        sys.argv[1:] = ["compare", *shlex.split(data.format(folder=shlex.quote(folder))), *options.split(), *own]
        try:
            main(prog_name="mgu")  # a study notes its command down from sys.argv
        except SystemExit as ended:
            if ended.code:  # an error or Ctrl-C ends them all
                raise
