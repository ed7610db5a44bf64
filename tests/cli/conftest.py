"""Small data of each kind, and a model of each, trained once."""

import csv

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from mgu.cli import main

SHOP = ("age", "city", "visits", "label")
CITIES = ("Rome", "Oslo", "Lima")


@pytest.fixture(scope="session")
def run():
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


def write_stripes(folder, count, seed):
    """Images of 10 x 8 pixels with stripes across or along: what direction, a network can learn."""
    rng = np.random.default_rng(seed)
    for name, axis in (("across", 0), ("along", 1)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            phase = np.indices((10, 8))[axis] * 1.6 + rng.uniform(0, 6)
            pixels = 128 + 80 * np.sin(phase) + rng.normal(0, 10, (10, 8))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{i:02d}.png")
    return folder


def shop_rows(count, seed):
    """Rows with gaps and categories; the label follows from age and city."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        age, city = int(rng.integers(18, 90)), CITIES[rng.integers(3)]
        label = "buys" if (age > 50) == (city == "Rome") else "leaves"
        yield [age if rng.random() > 0.1 else "", city if rng.random() > 0.1 else "", round(rng.random(), 3), label]


def house_rows(count, seed):
    rng = np.random.default_rng(seed)
    for i in range(count):
        rooms, area = int(rng.integers(1, 9)), float(rng.uniform(20, 200))
        yield [i, rooms, round(area, 2), round(1000 + 30 * rooms + 2.5 * area + rng.normal(0, 2), 3)]


def write_rows(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """By name: images of two classes, a table with classes, a table with a quantity."""
    folder = tmp_path_factory.mktemp("data")
    return {
        "stripes": write_stripes(folder / "stripes", 20, 0),
        "shop": write_rows(folder / "shop.csv", SHOP, shop_rows(120, 0)),
        "houses": write_rows(folder / "houses.csv", ("id", "rooms", "area", "price"), house_rows(100, 0)),
    }


OPTIONS = {"stripes": (), "shop": (), "houses": ("--target", "price", "--drop", "id")}


@pytest.fixture(scope="session")
def models(data, run, tmp_path_factory):
    """The model's folder of each, and what was printed."""
    folder = tmp_path_factory.mktemp("models")
    done = {}
    for name, path in data.items():
        ended = run("fit", path, *OPTIONS[name], "--epochs", 12, "--batch-size", 16, "--out", folder / name)
        assert ended.exit_code == 0, ended.output
        done[name] = (folder / name, ended.stdout)
    return done
