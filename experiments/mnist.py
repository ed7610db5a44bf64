"""The paper's first data set by the paper's recipe, on all 60,000 images, with Switchable Normalization beside.

    python experiments/mnist.py FOLDER [OPTION ...]

is this command, with your options, such as --device or --limit, at its end:

    mgu compare FOLDER --rivals all,switchable --out results/mnist
"""

import sys

from mgu.cli import main

OPTIONS = "--rivals all,switchable --out results/mnist"

if __name__ == "__main__":
    sys.argv[1:] = ["compare", *OPTIONS.split(), *sys.argv[1:]]  # a study notes its command down from there
    main(prog_name="mgu")
