"""The paper's third data set, announced and never reported: the images with acetic acid, split by case, batch 8.

    python experiments/cervigram.py FOLDER [OPTION ...]

FOLDER is laid out as docs/data.md says. It is this command, with your options, such as --out or --limit, at its end:

    mgu compare FOLDER --group case_id --keep stage=acetic_acid --image-size 512,512 --space cervigram --batch-size 8
"""

import sys

from mgu.cli import main

OPTIONS = "--group case_id --keep stage=acetic_acid --image-size 512,512 --space cervigram --batch-size 8"

if __name__ == "__main__":
    sys.argv[1:] = ["compare", *OPTIONS.split(), *sys.argv[1:]]  # a study notes its command down from there
    main(prog_name="mgu")
