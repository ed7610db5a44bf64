"""scikit-learn's digits, the whole grid and MGU over ten seeds: minutes.

    python experiments/digits.py [OPTION ...]

is this command, with your options, such as --device or --limit, at its end:

    mgu compare digits --seeds 10 --out results/digits
"""

import sys

from mgu.cli import main

OPTIONS = "digits --seeds 10 --out results/digits"

if __name__ == "__main__":
    sys.argv[1:] = ["compare", *OPTIONS.split(), *sys.argv[1:]]  # a study notes its command down from there
    main(prog_name="mgu")
