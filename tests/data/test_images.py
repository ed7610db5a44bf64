"""Image folders and Parquet files of images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mgu.data import load_data
from mgu.errors import InputError


def every_image(data) -> np.ndarray:
    return np.concatenate([data.train.x, data.validation.x, data.test.x])


def test_an_image_folder(image_folder, numbered) -> None:
    folder = image_folder({"dog": numbered(12), "cat": numbered(18, 100)})
    (folder / "nowhere").symlink_to(folder / "gone")
    data = load_data(str(folder))
    assert data.classes == ("cat", "dog")
    assert data.input_shape == (1, 4, 5)
    for split in (data.train, data.validation, data.test):
        assert ((split.x[:, 0, 0, 1] >= 100) == (split.y == 0)).all()


def test_an_image_folder_with_splits(tmp_path: Path, numbered) -> None:
    for split, n in (("train", 10), ("test", 3)):
        for k, name in enumerate(("cat", "dog")):
            (tmp_path / "photos" / split / name).mkdir(parents=True)
            for i, image in enumerate(numbered(n, 100 * k)):
                Image.fromarray(image).save(tmp_path / "photos" / split / name / f"{i}.png")
    data = load_data(str(tmp_path / "photos"))
    assert len(data.test.y) == 6
    assert len(data.train.y) + len(data.validation.y) == 20


@pytest.fixture
def described(tmp_path: Path, numbered):
    """Write 30 images in one folder, with a metadata.csv that gives each a species; the weight is its number."""

    def write(species: list[str]) -> str:
        folder = tmp_path / "described"
        folder.mkdir()
        lines = ["file_name,species,weight"]
        for i, image in enumerate(numbered(30)):
            Image.fromarray(image).save(folder / f"{i}.png")
            lines.append(f"{i}.png,{species[i]},{i}")
        (folder / "metadata.csv").write_text("\n".join(lines))
        return str(folder)

    return write


def test_an_image_folder_with_metadata(described) -> None:
    folder = described(["owl", "elk"] * 15)
    data = load_data(folder, target="species")
    assert data.classes == ("elk", "owl")
    assert (data.train.x[:, 0, 0, 1] % 2 == (data.train.y == 0)).all()
    with pytest.raises(InputError, match=r"no column is called target or label.*the columns are: species, weight"):
        load_data(folder)
    with pytest.raises(InputError, match="no target column 'genus'; the columns are: species, weight"):
        load_data(folder, target="genus")


def test_a_missing_label_in_metadata(described) -> None:
    with pytest.raises(InputError, match=r"'species' is missing in row 7 \(counted from 0\)"):
        load_data(described(["owl"] * 7 + [""] + ["elk"] * 22), target="species")


def test_a_missing_file_in_metadata(described, tmp_path: Path) -> None:
    folder = described(["owl", "elk"] * 15)
    (tmp_path / "described" / "12.png").unlink()
    with pytest.raises(InputError, match=r"described"):
        load_data(folder, target="species")


def test_one_class_folder_is_not_enough(image_folder, numbered) -> None:
    with pytest.raises(InputError, match=r"the columns are: none but the images .*one folder a class, two or more"):
        load_data(str(image_folder({"cat": numbered(20)})))


def test_labels_of_one_class_only(hub_folder, numbered) -> None:
    with pytest.raises(InputError, match="all samples are of class 'dog'; two are needed"):
        load_data(str(hub_folder({"train": (numbered(20), [1] * 20)})))


def test_labels_without_names(hub_folder, numbered) -> None:
    data = load_data(str(hub_folder({"train": (numbered(30), [10, 9, 10] * 10)}, names=None, label="target")))
    assert data.classes == ("9", "10")
    assert (data.train.y == (data.train.x[:, 0, 0, 1] % 3 != 1)).all()


def test_the_one_column_of_named_classes_is_the_target(hub_folder, numbered) -> None:
    data = load_data(str(hub_folder({"train": (numbered(30), [0, 1] * 15)}, label="species")))
    assert data.classes == ("cat", "dog")
    assert (data.train.y == data.train.x[:, 0, 0, 1] % 2).all()


def test_several_columns_of_named_classes(tmp_path: Path, numbered) -> None:
    import datasets

    columns = {"image": [Image.fromarray(i) for i in numbered(20)], "fine": [0, 1] * 10, "coarse": [0] * 10 + [1] * 10}
    rows = datasets.Dataset.from_dict(columns)
    for name in ("fine", "coarse"):
        rows = rows.cast_column(name, datasets.ClassLabel(names=["a", "b"]))
    rows.to_parquet(tmp_path / "both.parquet")
    with pytest.raises(InputError, match="fine and coarse could each be the target; name one as the target"):
        load_data(str(tmp_path / "both.parquet"))
    data = load_data(str(tmp_path / "both.parquet"), target="coarse")
    assert (data.train.y == (data.train.x[:, 0, 0, 1] >= 10)).all()


def test_several_image_columns(tmp_path: Path, numbered) -> None:
    import datasets

    images = [Image.fromarray(i) for i in numbered(4)]
    datasets.Dataset.from_dict({"left": images, "right": images, "label": [0, 1] * 2}).to_parquet(
        tmp_path / "p.parquet"
    )
    with pytest.raises(InputError, match="one image column is needed, but left, right are"):
        load_data(str(tmp_path / "p.parquet"))


def test_greyscale_modes_share_one_channel(image_folder) -> None:
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    # 16-bit white is 8-bit white, and 257 is one step
    deep = Image.fromarray(np.array([[0, 257, 65535, 128, 129]] * 4, dtype=np.uint16))
    assert deep.mode == "I;16"
    flat = [Image.fromarray(grey), Image.fromarray(grey).convert("LA"), Image.fromarray(grey > 9), deep]
    assert {image.mode for image in flat} == {"L", "LA", "1", "I;16"}
    data = load_data(str(image_folder({"a": flat * 3, "b": [grey] * 12})))
    assert data.input_shape == (1, 4, 5)
    kinds = {image.tobytes() for image in every_image(data)}
    white = np.where(grey > 9, 255, 0).astype(np.uint8)
    assert kinds == {grey.tobytes(), white.tobytes(), np.array([[0, 1, 255, 0, 1]] * 4, dtype=np.uint8).tobytes()}


@pytest.mark.parametrize("colour_first", [True, False])
def test_one_colour_image_makes_all_rgb(image_folder, colour_first: bool) -> None:
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    red = np.zeros((4, 5, 3), dtype=np.uint8)
    red[..., 0] = 200
    deep = Image.fromarray(np.full((4, 5), 65535, dtype=np.uint16))
    palette = Image.fromarray(red).convert("P", palette=Image.Palette.ADAPTIVE)
    clear = Image.fromarray(red).convert("RGBA")
    colours = [Image.fromarray(red), palette, clear] * 4
    greys = [Image.fromarray(grey), deep] * 6
    a, b = (colours, greys) if colour_first else (greys, colours)
    data = load_data(str(image_folder({"a": a, "b": b})))
    assert data.input_shape == (3, 4, 5)
    channels_first = red.transpose(2, 0, 1).tobytes()
    assert {x.tobytes() for x in every_image(data)} == {channels_first, grey.tobytes() * 3, b"\xff" * 60}


def test_colour_in_the_test_split_alone(hub_folder, numbered) -> None:
    colour = np.zeros((4, 5, 3), dtype=np.uint8)
    data = load_data(str(hub_folder({"train": (numbered(20), [0, 1] * 10), "test": ([colour] * 2, [0, 1])})))
    assert data.train.x.shape[1:] == data.test.x.shape[1:] == (3, 4, 5)
    assert (data.train.x[:, 0] == data.train.x[:, 2]).all()


def test_floating_point_images_are_refused(image_folder) -> None:
    image = Image.fromarray(np.ones((4, 5), dtype=np.float32))
    with pytest.raises(InputError, match=r"000\.tiff: not a readable image \(32-bit greyscale, mode F"):
        load_data(str(image_folder({"a": [image] * 3, "b": [image] * 3}, suffix="tiff")))


def test_photos_are_turned_upright(image_folder) -> None:
    sideways = Image.fromarray(np.arange(0, 200, 10, dtype=np.uint8).reshape(4, 5))
    folder = image_folder({"a": [sideways] * 6, "b": [sideways] * 6})
    for file in folder.rglob("*.png"):
        exif = Image.Exif()
        exif[0x0112] = 6
        sideways.save(file, exif=exif)
    data = load_data(str(folder))
    assert data.input_shape == (1, 5, 4)
    assert (data.train.x[0, 0] == np.rot90(np.asarray(sideways), -1)).all()


def test_sizes_that_differ(image_folder, numbered) -> None:
    folder = image_folder({"cat": numbered(5), "dog": [*numbered(4), np.zeros((6, 8), dtype=np.uint8)]})
    message = r"dog.004\.png is 8x6 pixels \(width x height\), but .*000\.png is 5x4 pixels; .*resize"
    with pytest.raises(InputError, match=message):
        load_data(str(folder))


def test_sizes_that_differ_in_parquet(hub_folder, numbered) -> None:
    odd = np.zeros((6, 8), dtype=np.uint8)
    folder = hub_folder({"train": (numbered(20), [0, 1] * 10), "test": ([*numbered(2), odd], [0, 1, 0])})
    with pytest.raises(
        InputError, match=r"split test, row 2 \(counted from 0\).* is 8x6 .*split train, row 0 .* is 5x4"
    ):
        load_data(str(folder))


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tiff"])
def test_a_truncated_image(image_folder, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 20, 64, 64), dtype=np.uint8)
    folder = image_folder({"cat": list(noise[0]), "dog": list(noise[1])}, suffix)
    file = folder / "dog" / f"003.{suffix}"
    file.write_bytes(file.read_bytes()[:800])
    with pytest.raises(InputError, match=rf"003\.{suffix}: not a readable image"):
        load_data(str(folder))


def test_a_file_that_is_no_image(image_folder, numbered) -> None:
    folder = image_folder({"cat": numbered(5), "dog": numbered(5)})
    (folder / "cat" / "001.png").write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"001\.png: not a readable image"):
        load_data(str(folder))
    (folder / "cat" / "001.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"001\.png: not a readable image"):
        load_data(str(folder))


def test_bad_images_in_parquet(tmp_path: Path, numbered) -> None:
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    images: list[object] = [Image.fromarray(image) for image in numbered(20)]
    for bad, message in (({"bytes": b"no image", "path": None}, "not a readable image"), (None, "image is missing")):
        images[11] = bad
        file = tmp_path / "train.parquet"
        datasets.Dataset.from_dict({"image": images, "label": [0, 1] * 10}, features=features).to_parquet(file)
        with pytest.raises(InputError, match=rf"train\.parquet, split train, row 11 \(counted from 0\).*{message}"):
            load_data(str(file))


def test_images_are_resized(image_folder) -> None:
    """As torch does it, in float64, from (4k, 4k + 4) pixels to (9, 7) of them, larger and smaller."""
    import torch

    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (4 * k, 4 * k + 4, 3), dtype=np.uint8) for k in range(1, 7)]
    data = load_data(str(image_folder({"a": images, "b": images})), image_size=(9, 7))
    assert data.input_shape == (3, 9, 7)
    for image in images:
        pixels = torch.tensor(image.transpose(2, 0, 1)[None], dtype=torch.float64)
        own = torch.nn.functional.interpolate(pixels, (9, 7), mode="bilinear", antialias=True)[0].numpy()
        assert min(np.abs(x - own).max() for x in every_image(data)) < 1.5  # Pillow rounds after each direction
