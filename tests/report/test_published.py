"""Published figures stand beside the study's own where names match, and nothing is shown without them."""

import os

import pytest

from mgu.errors import InputError
from mgu.report.page import write_report
from mgu.report.published import Published, read_published
from mgu.report.score import ACCURACY


@pytest.fixture
def publish(tmp_path):
    def write(text):
        (tmp_path / "published.csv").write_bytes(text.encode() if isinstance(text, str) else text)
        return tmp_path

    return write


def test_read(publish):
    folder = publish("\ufeffmodel_name,note,val_acc,tts_s\nP1,x,99.14,407\nM1,y,,876\n")
    assert read_published(folder, ACCURACY) == {"P1": Published(99.14, 407), "M1": Published(None, 876)}


def test_no_file_no_figures(tmp_path):
    assert read_published(tmp_path, ACCURACY) == read_published(tmp_path / "none", ACCURACY) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model_name,val_acc\nP1,99\n", "has no column tts_s, only model_name, val_acc; its first line must name"),
        ("", "has no column model_name, val_acc, tts_s"),
        ("model_name,val_acc,tts_s\nP1,99 %,3\n", "'99 %' is no number; accuracies are in per cent"),
        ("model_name,val_acc,tts_s\nP1,nan,3\n", "'nan' is no number"),
        (b"model_name,val_acc,tts_s\nP\xff,1,3\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(publish, text, said):
    with pytest.raises(InputError, match=said):
        read_published(publish(text), ACCURACY)


def test_a_link_out_a_pipe_and_what_is_larger_than_any_are_not_read(tmp_path):
    (tmp_path / "secret").write_text("a secret")
    (tmp_path / "study").mkdir()
    path = tmp_path / "study" / "published.csv"
    for make in (lambda: path.symlink_to(tmp_path / "secret"), lambda: os.mkfifo(path), huge(path)):
        make()
        with pytest.raises(InputError, match="it is no file of its own in the folder, or larger than"):
            read_published(path.parent, ACCURACY)
        path.unlink()


def huge(path):
    def make():
        path.touch()
        os.truncate(path, 2**40)

    return make


def test_both_pages_show_them_where_names_match(publish, whole_study):
    folder = publish("model_name,val_acc,tts_s\nM1,99.32,876\nP2,98.5,\nelse,1,1\n")
    write_report(whole_study, folder)
    text, html = ((folder / name).read_text() for name in ("report.md", "report.html"))
    header, _, m1, p1, p2 = text[text.index("| rank") :].splitlines()[:5]
    names = header.split(" | ")
    assert names[6:11] == ["tts", "paper: tts", "train_acc, %", "val_acc, %", "paper: val_acc, %"]
    cells = [[row.split(" | ")[place].strip("*") for place in (7, 10)] for row in (m1, p1, p2)]
    assert cells == [["876 s", "99.32"], ["-", "-"], ["-", "98.50"]]
    assert '<td data-value="99.32" class="number">99.32</td>' in html
    assert (folder / "published.csv").exists()


@pytest.mark.parametrize("text", [None, "model_name,val_acc,tts_s\nelse,1,1\n"])
def test_without_a_match_nothing_is_shown(publish, tmp_path, whole_study, text):
    if text:
        publish(text)
    write_report(whole_study, tmp_path)
    assert "paper" not in (tmp_path / "report.md").read_text() + (tmp_path / "report.html").read_text()
