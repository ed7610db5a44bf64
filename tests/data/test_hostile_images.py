"""Images and data folders from strangers: bombs, programs, odd modes, and paths that lead out."""

import io
import json
import os
import struct
import zipfile
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mgu.data import load_data
from mgu.data.fresh import read_fresh
from mgu.data.images import read_like
from mgu.data.preprocessing import Preprocessing
from mgu.data.query import read_size
from mgu.errors import InputError

GREY = np.arange(0, 200, 10, dtype=np.uint8).reshape(4, 5)


def png(width, height):
    """A greyscale PNG that claims these sides and has hardly anything in it."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    sides = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", sides) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 4\n%%EndComments\nshowpage\n%%EOF\n"

BAD = {
    "a bomb at which Pillow only warns": (png(10_000, 10_000), "png", "exceeds limit of 89478485 pixels"),
    "a bomb": (png(60_000, 60_000), "png", "exceeds limit of"),
    "a program": (EPS, "eps", "EPS is drawn by running it"),
    "a program by another name": (EPS, "png", "EPS is drawn by running it"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_too_large_or_a_program_is_named(case, image_folder, numbered, monkeypatch):
    content, suffix, message = BAD[case]
    folder = image_folder({"cat": numbered(5), "dog": numbered(5)})
    (folder / "dog" / f"bad.{suffix}").write_bytes(content)
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("it is run"))
    for read in (lambda: load_data(str(folder)), lambda: read_like(folder / "dog" / f"bad.{suffix}", (1, 4, 5))):
        with pytest.raises(InputError, match=rf"bad\.{suffix}: not a readable image .*{message}"):
            read()


def grey16():
    return Image.fromarray(GREY.astype(np.uint16) * 257)


def palette():
    """Grey levels by their numbers in a palette, the first of them transparent."""
    image = Image.fromarray(GREY).convert("P")
    image.info["transparency"] = 0
    return image


#: By mode and format: the image, and the channels that it is read with. All of them show GREY.
MODES = {
    "L": (lambda: Image.fromarray(GREY), "png", 1),
    "LA": (lambda: Image.fromarray(GREY).convert("LA"), "png", 1),
    "I;16": (grey16, "png", 1),
    "I;16 TIFF": (grey16, "tiff", 1),
    "P": (palette, "png", 3),
    "RGBA": (lambda: Image.fromarray(GREY).convert("RGBA"), "png", 3),
    "CMYK": (lambda: Image.fromarray(GREY).convert("RGB").convert("CMYK"), "tiff", 3),
    "GIF": (lambda: Image.fromarray(GREY).convert("RGB"), "gif", 3),
}


@pytest.mark.parametrize("case", MODES)
def test_every_mode_shows_the_same_picture(case, image_folder):
    make, suffix, channels = MODES[case]
    data = load_data(str(image_folder({"a": [make()] * 6, "b": [make()] * 6}, suffix)))
    assert data.input_shape == (channels, 4, 5)
    assert (data.train.x == GREY).all()


def test_black_and_white(image_folder):
    image = Image.fromarray(GREY > 90)
    assert image.mode == "1"
    data = load_data(str(image_folder({"a": [image] * 6, "b": [image] * 6})))
    assert (data.train.x[:, 0] == 255 * (GREY > 90)).all()


@pytest.mark.parametrize("suffix", ["gif", "png", "tiff"])
def test_an_animation_is_its_first_frame(suffix, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(6):
            first, others = Image.fromarray(GREY), [Image.fromarray(255 - GREY)]
            first.save(tmp_path / name / f"{i}.{suffix}", save_all=True, append_images=others)
    assert (load_data(str(tmp_path)).train.x == GREY).all()


@pytest.fixture
def secret(tmp_path):
    """A folder of images and a table that no data set beside it may show."""
    folder = tmp_path / "secret"
    folder.mkdir()
    for i in range(30):
        Image.fromarray(GREY + i).save(folder / f"{i}.png")
    (folder / "t.csv").write_text("a,label\n" + "\n".join(f"{i},{i % 2}" for i in range(30)))
    return folder


PATHS = {
    "out": lambda secret, i: f"../secret/{i}.png",
    "absolute": lambda secret, i: f"{secret}/{i}.png",
    "in and out": lambda secret, i: f"./a/../../secret/{i}.png",
    "a drive": lambda secret, i: f"C:\\secret\\{i}.png",
    "a NUL": lambda secret, i: f"{i}\0.png",
    "a URL": lambda secret, i: f"http://127.0.0.1:9/{i}.png",
    "in an archive": lambda secret, i: f"zip://{i}.png::{secret}/a.zip",
}


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
@pytest.mark.parametrize("case", PATHS)
def test_metadata_names_nothing_outside(case, name, secret, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    Image.fromarray(GREY).save(folder / "own.png")
    rows = [{"file_name": PATHS[case](secret, i), "label": "ab"[i % 2]} for i in range(30)]
    if name.endswith(".csv"):
        text = "\n".join(["file_name,label", *(f"{row['file_name']},{row['label']}" for row in rows)])
    else:
        text = "\n".join(map(json.dumps, rows))
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=str(folder)):
        load_data(str(folder))


@pytest.mark.parametrize("case", PATHS)
def test_parquet_names_nothing_outside(case, secret, tmp_path, monkeypatch):
    import datasets
    import pyarrow as pa
    from pyarrow import parquet

    monkeypatch.chdir(secret)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    images = [{"bytes": None, "path": PATHS[case](secret, i)} for i in range(30)]
    table = pa.table({"image": images, "label": [0, 1] * 15}, schema=features.arrow_schema)
    (tmp_path / "data").mkdir()
    parquet.write_table(table, tmp_path / "data" / "x.parquet")
    for source in (tmp_path / "data", tmp_path / "data" / "x.parquet"):
        with pytest.raises(InputError, match=r"row 0 .*which is not in its folder and is not read"):
            load_data(str(source))


@pytest.mark.parametrize("files", ["../secret/t.csv", "{secret}/t.csv", "../secret/*.png"])
def test_a_readme_names_nothing_outside(files, secret, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    Image.fromarray(GREY).save(folder / "own.png")
    card = f"---\nconfigs:\n- config_name: default\n  data_files: '{files.format(secret=secret)}'\n---\n"
    (folder / "README.md").write_text(card)
    with pytest.raises(InputError, match="which is not in its folder and is not read"):
        load_data(str(folder))


def test_a_readme_may_name_what_is_inside(secret):
    pd.read_csv(secret / "t.csv").to_parquet(secret / "t.parquet")
    (secret / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: t.parquet\n---\n")
    assert load_data(str(secret)).input_shape == (1,)


OTHERS = {
    "train.csv": "x,x,label\n1,2,a\n",
    "train.jsonl": '{"x": 1, "label": "a"}\n',
    "train.txt": "a\nb\n",
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_folder_of_other_files_is_refused(name, tmp_path):
    for file in (name, name.replace("train", "test")):
        (tmp_path / file).write_text(OTHERS[name] * 20)
    with pytest.raises(InputError, match=rf"{tmp_path}: it holds files of another kind, .*{name}; allowed are Parquet"):
        load_data(str(tmp_path))


def test_metadata_is_read_as_strictly_as_a_table(image_folder, numbered):
    folder = image_folder({"cat": numbered(12)})
    rows = [f"cat/{i:03d}.png,{'ab'[i % 2]}" for i in range(12)]
    for bad, message in (
        ("\n".join(["file_name,label", *rows]).replace("5.png,b", "5.png,é").encode("latin-1"), "row 7 is not UTF-8"),
        ("\n".join(["file_name,label", *rows, "cat/000.png,b"]).encode(), r"000\.png: the metadata names .* twice"),
    ):
        (folder / "metadata.csv").write_bytes(bad)
        with pytest.raises(InputError, match=message):
            load_data(str(folder))
    (folder / "metadata.csv").write_text("\n".join(["file_name,label", *rows]))
    data = load_data(str(folder))
    assert data.classes == ("a", "b")
    (folder / "metadata.csv").write_text("\n".join(["file_name,label", *rows, "cat/000.png,b"]))
    with pytest.raises(InputError, match=r"metadata\.csv: 'cat/000\.png' has another label in row 14 "):
        read_fresh(str(folder), Preprocessing.of(data))


IN_THE_WAY = {
    "an archive": ("more.zip", r"the archive .*more\.zip is in the way"),
    "a folder in a folder": ("dog/old/1.png", r"dog/old/1\.png lies deeper than most"),
    "an image above the classes": ("1.png", r"photos/1\.png lies less deep than most"),
}


@pytest.mark.parametrize("case", IN_THE_WAY)
def test_what_is_in_the_way_of_classes_is_named(case, image_folder, numbered):
    name, message = IN_THE_WAY[case]
    folder = image_folder({"cat": numbered(8), "dog": numbered(8)})
    (folder / name).parent.mkdir(exist_ok=True)
    if name.endswith(".zip"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.write(folder / "cat" / "000.png", "cat/000.png")
    else:
        Image.fromarray(GREY).save(folder / name)
    with pytest.raises(InputError, match=message):
        load_data(str(folder))


def test_a_name_that_is_not_utf8_is_shown(image_folder, numbered):
    folder = image_folder({"cat": numbered(8), "dog": numbered(8)})
    try:
        (folder / "cat" / "000.png").rename(os.fsdecode(os.fsencode(folder) + b"/cat/caf\xe9.png"))
    except OSError:
        pytest.skip("the file system has no such names")
    with pytest.raises(InputError, match=r"caf\\udce9\.png: the name of this file is not UTF-8"):
        load_data(str(folder))


@pytest.mark.parametrize("size", [(100_000, 100_000), (10**9, 1), (9460, 9460)])
def test_no_image_is_resized_to_more_than_pillow_reads(size):
    with pytest.raises(InputError, match=r"image_size .* at most 89,478,485 pixels in all; .* make it smaller"):
        read_size(size)
    assert read_size((9459, 9459)) == (9459, 9459)


def test_code_in_a_data_folder_is_not_run(image_folder, numbered, tmp_path):
    folder = image_folder({"cat": numbered(5), "dog": numbered(5)})
    (folder / f"{folder.name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(InputError, match="scripts are no longer supported"):
        load_data(str(folder))
    assert not (tmp_path / "ran").exists()


def test_an_image_with_text_that_unfolds(image_folder, numbered):
    """Pillow keeps a PNG's compressed text to a megabyte."""
    from PIL.PngImagePlugin import PngInfo

    folder = image_folder({"cat": numbered(5), "dog": numbered(5)})
    info, file = PngInfo(), io.BytesIO()
    info.add_text("a", "b" * 3 * 2**20, zip=True)
    Image.fromarray(GREY).save(file, "png", pnginfo=info)
    (folder / "dog" / "bad.png").write_bytes(file.getvalue())
    with pytest.raises(InputError, match=r"bad\.png: not a readable image"):
        load_data(str(folder))
