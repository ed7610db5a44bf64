"""The 7- and 10-layer layouts of the paper's second data set, on 15,000 training images: what a processor can do.

    python experiments/cifar10.py FOLDER [OPTION ...]

is this command, with your options, such as --device or --limit, at its end:

    mgu compare FOLDER --space experiments/cifar10.toml --limit 18000 --epochs 9 --out results/cifar10

On a GPU, `mgu compare cifar10 --device cuda` is the whole grid by the paper's recipe.
"""

import sys

from mgu.cli import main

OPTIONS = "--space experiments/cifar10.toml --limit 18000 --epochs 9 --out results/cifar10"

if __name__ == "__main__":
    sys.argv[1:] = ["compare", *OPTIONS.split(), *sys.argv[1:]]  # a study notes its command down from there
    main(prog_name="mgu")
