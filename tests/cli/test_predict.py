"""``mgu predict``: its answers are the network's own, whatever the order, the labels and the other columns."""

import csv
import io
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from mgu.data import TableFeatures
from mgu.torch import load, read_card


def answers(text):
    return list(csv.DictReader(io.StringIO(text)))


def by_hand(folder, x):
    """The network's outputs for samples as they are before standardising, without mgu.model."""
    known = read_card(folder).card["preprocessing"]
    mean, std = (np.array(known[name]).reshape(1, -1, *[1] * (x.ndim - 2)) for name in ("mean", "std"))
    with torch.no_grad():
        return load(folder)(torch.from_numpy((x - mean) / std).float()).double()


def test_images_flat_and_nested_are_answered_as_the_network_does(data, models, run, tmp_path):
    folder, _ = models["stripes"]
    files = sorted(data["stripes"].rglob("*.png"))
    outputs = by_hand(folder, np.stack([np.asarray(Image.open(file))[None] for file in files]).astype(float))
    done = run("predict", folder, data["stripes"], "--out", tmp_path / "a.csv")
    assert done.exit_code == 0, done.output
    rows = answers((tmp_path / "a.csv").read_text())
    assert [row["file"] for row in rows] == [file.relative_to(data["stripes"]).as_posix() for file in files]
    assert [row["label"] for row in rows] == [("across", "along")[i] for i in outputs.argmax(1).tolist()]
    shares = [[float(row["p(across)"]), float(row["p(along)"])] for row in rows]
    np.testing.assert_allclose(shares, torch.softmax(outputs, 1), atol=2e-5)
    right = sum(row["file"].startswith(row["label"] + "/") for row in rows)
    assert f"accuracy {100 * right / 40:.2f} %" in done.stdout

    flat = tmp_path / "flat"
    flat.mkdir()
    for file in files[:5]:
        shutil.copy(file, flat / file.name)
    done = run("predict", folder, flat)
    assert done.exit_code == 0, done.output
    assert [row["label"] for row in answers(done.stdout)] == [row["label"] for row in rows[:5]]
    assert done.stderr == ""  # nothing is known of their labels
    one = run("predict", folder, flat / files[0].name)
    assert answers(one.stdout) == answers(done.stdout)[:1]


def test_a_table_is_answered_whatever_its_order_and_other_columns(data, models, run, tmp_path):
    folder, _ = models["shop"]
    frame = pd.read_csv(data["shop"])
    features = TableFeatures.from_json(read_card(folder).card["preprocessing"]["features"])
    outputs = by_hand(folder, features.transform(frame[["age", "city", "visits"]]))
    done = run("predict", folder, data["shop"], "--out", tmp_path / "a.csv")
    assert done.exit_code == 0, done.output
    rows = answers((tmp_path / "a.csv").read_text())
    assert [row["label"] for row in rows] == [("buys", "leaves")[i] for i in outputs.argmax(1).tolist()]
    np.testing.assert_allclose([float(r["p(buys)"]) for r in rows], torch.softmax(outputs, 1)[:, 0], atol=2e-5)
    assert [row["row"] for row in rows] == [str(i) for i in range(2, 122)]
    accuracy = np.mean([row["label"] for row in rows] == frame["label"])
    assert f"accuracy {100 * accuracy:.2f} %" in done.stdout

    other = frame[["visits", "city", "age"]].assign(nothing="of use")
    other.to_csv(tmp_path / "other.csv", index=False)
    other.to_parquet(tmp_path / "other.parquet")
    for name in ("other.csv", "other.parquet"):
        again = run("predict", folder, tmp_path / name)
        assert again.exit_code == 0, again.output
        assert answers(again.stdout) == rows
        assert again.stderr == ""


def test_a_quantity_is_in_its_unit(data, models, run):
    folder, _ = models["houses"]
    frame = pd.read_csv(data["houses"])
    known = read_card(folder).card["preprocessing"]
    outputs = by_hand(folder, frame[["rooms", "area"]].to_numpy(float)).squeeze(1) * known["target_std"]
    done = run("predict", folder, data["houses"])
    assert done.exit_code == 0, done.output
    found = [float(row["prediction"]) for row in answers(done.stdout)]
    np.testing.assert_allclose(found, outputs + known["target_mean"], rtol=1e-5)
    assert "Where the truth is known: R² " in done.stderr


def test_an_image_that_cannot_be_read_is_named_and_the_others_answered(data, models, run, tmp_path):
    folder, _ = models["stripes"]
    mixed = tmp_path / "mixed"
    shutil.copytree(data["stripes"] / "along", mixed)
    (mixed / "broken.png").write_bytes(b"\x89PNG but no more")
    Image.new("L", (9, 9)).save(mixed / "larger.png")
    Image.new("RGB", (8, 10), "red").save(mixed / "red.png")
    (mixed / "notes.txt").write_text("no image")
    done = run("predict", folder, mixed, "--out", tmp_path / "a.csv")
    assert done.exit_code == 1
    assert len(answers((tmp_path / "a.csv").read_text())) == 20
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    for line, parts in zip(
        lines,
        [("broken.png", "not a readable image"), ("larger.png", "takes 8x10"), ("red.png", "in colour")],
        strict=True,
    ):
        assert line.startswith("left out: ")
        assert all(part in line for part in parts)


def test_images_are_resized_as_in_training(run, tmp_path):
    rng = np.random.default_rng(0)
    for name, light in (("dark", 60), ("light", 180)):
        (tmp_path / "d" / name).mkdir(parents=True)
        for i in range(15):
            pixels = rng.normal(light, 20, (9 + i, 20 - i, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "d" / name / f"{i}.png")
    options = ("--image-size", "12,10", "--epochs", 4, "--out", tmp_path / "m")
    assert run("fit", tmp_path / "d", *options).exit_code == 0
    done = run("predict", tmp_path / "m", tmp_path / "d" / "dark" / "3.png")
    resized = Image.open(tmp_path / "d" / "dark" / "3.png").resize((10, 12), Image.Resampling.BILINEAR)
    x = np.asarray(resized).transpose(2, 0, 1)[None].astype(float)
    expected = torch.softmax(by_hand(tmp_path / "m", x), 1)[0, 0].item()
    assert float(answers(done.stdout)[0]["p(dark)"]) == pytest.approx(expected, abs=2e-5)


def test_the_test_split_of_what_fit_reads_by_name(run, tmp_path):
    assert run("fit", "iris", "--epochs", 4, "--out", tmp_path / "m").exit_code == 0
    card = read_card(tmp_path / "m").card
    done = run("predict", tmp_path / "m", "iris", "--out", tmp_path / "a.csv")
    assert done.exit_code == 0, done.output
    assert f"accuracy {100 * card['metrics']['accuracy']:.2f} %" in done.stdout
    assert "of 30 samples" in done.stdout
    wine = run("predict", tmp_path / "m", "wine")
    assert (wine.exit_code, "which the model needs" in wine.stderr) == (2, True)
    digits = run("predict", tmp_path / "m", "digits")
    assert (digits.exit_code, "but the model takes a table" in digits.stderr) == (2, True)


def missing_column(data, models, path):
    pd.read_csv(data["shop"]).drop(columns="city").to_csv(path / "t.csv", index=False)
    return models["shop"][0], path / "t.csv", "no column is called 'city'"


def text_for_numbers(data, models, path):
    pd.read_csv(data["shop"]).assign(visits="often").to_csv(path / "t.csv", index=False)
    return models["shop"][0], path / "t.csv", "column 'visits' is not numeric"


def only_broken(data, models, path):
    (path / "broken.png").write_bytes(b"nothing")
    return models["stripes"][0], path, "none of 1 images can be taken"


BAD = {
    "missing column": missing_column,
    "text for numbers": text_for_numbers,
    "only broken images": only_broken,
    "a table for images": lambda data, models, path: (models["stripes"][0], data["shop"], "the model takes images"),
    "images for a table": lambda data, models, path: (models["shop"][0], data["stripes"], "the model takes a table"),
    "no data": lambda data, models, path: (models["shop"][0], path / "nowhere.csv", "there is no file or folder"),
    "no model": lambda data, models, path: (path / "nowhere", data["shop"], "there is no model folder"),
    "data for a model": lambda data, models, path: (data["stripes"], data["stripes"], "is missing"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, data, models, run, tmp_path):
    model, asked, message = BAD[case](data, models, tmp_path)
    done = run("predict", model, asked, "--out", tmp_path / "a.csv")
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert not (tmp_path / "a.csv").exists()


def test_the_data_itself_is_not_written_over(data, models, run):
    before = data["shop"].read_bytes()
    done = run("predict", models["shop"][0], data["shop"], "--out", data["shop"])
    assert (done.exit_code, "is the data itself" in done.stderr) == (2, True)
    assert data["shop"].read_bytes() == before


def test_a_model_of_colours_takes_grey_images_as_training_did(run, data, tmp_path):
    """Grey is red, green and blue alike: the same image saved in colour has the same answer."""
    colour, grey = tmp_path / "colour", tmp_path / "grey"
    for path in sorted(data["stripes"].rglob("*.png")):
        for folder, mode in ((colour, "RGB"), (grey, "L")):
            target = folder / path.relative_to(data["stripes"])
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.open(path).convert(mode).save(target)
    assert run("fit", colour, "--epochs", 2, "--out", tmp_path / "m").exit_code == 0
    answers = [run("predict", tmp_path / "m", folder) for folder in (colour, grey)]
    assert [answer.exit_code for answer in answers] == [0, 0]
    assert answers[0].stdout == answers[1].stdout
