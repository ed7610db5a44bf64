"""A small set in the form of CERVIGRAM, drawn: a folder of images with a metadata.csv.

    python tests/cervigrams.py FOLDER [CASES] [SIDE]

A case is five images with acetic acid, one through a green lens and one with iodine, and has one of four labels. The
label decides the direction of fine stripes, which a network can learn. Colours and blotches are the case's own and
far stronger, so that images of one case resemble each other more than those of one label: who splits by image is
rewarded for knowing the case.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

LABELS = ("normal", "cin1", "cin2_3", "cancer")
STAGES = {"acetic_acid": 5, "green_lens": 1, "iodine": 1}
#: Red, green and blue as the stage lets them through.
TINTS = {"acetic_acid": (1.0, 1.0, 1.0), "green_lens": (0.2, 1.0, 0.2), "iodine": (0.8, 0.5, 0.1)}


def write_cases(folder: Path, cases: int = 24, side: int = 32, seed: int = 0) -> Path:
    """Write the images of the cases, case i with label i mod 4, and the metadata.csv; return the folder.

    Images are ``side`` pixels wide; a case's height is its own, by up to a quarter more. All is decided by ``seed``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "label", "case_id", "stage"])
        for i in range(cases):
            case = f"C{i:03d}"
            (folder / case).mkdir()
            for stage, number, pixels in draw_case(i % len(LABELS), side, np.random.default_rng([seed, i])):
                name = f"{case}/{stage}_{number}.png"
                Image.fromarray(pixels).save(folder / name)
                table.writerow([name, LABELS[i % len(LABELS)], case, stage])
    return folder


def draw_case(label: int, side: int, rng: np.random.Generator) -> Iterator[tuple[str, int, np.ndarray]]:
    """The stage, the number in it, and the pixels (height, width, 3) uint8 of each image of a case."""
    height = side + int(rng.integers(side // 4 + 1))
    y, x = np.mgrid[:height, :side]
    colour, waves = rng.uniform(60, 190, 3), rng.uniform(-0.15, 0.15, (4, 2))
    blotches = sum(np.sin(a * x + b * y + phase) for (a, b), phase in zip(waves, rng.uniform(0, 6, 4), strict=True))
    angle = np.pi * label / len(LABELS)
    for stage, count in STAGES.items():
        for number in range(1, count + 1):
            stripes = np.sin(2.1 * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(0, 6))
            light = 12 * blotches + 9 * stripes + rng.normal(0, 4, (height, side))
            pixels = (colour + light[..., None]) * TINTS[stage]
            yield stage, number, pixels.clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    write_cases(Path(sys.argv[1]), *map(int, sys.argv[2:]))
