"""The report shows what a trial's folder has of its self-diagnosis, whatever that is, and trusts none of it."""

import base64
import json
import os
import re
import shutil
from html import unescape
from urllib.parse import unquote

import pytest
import torch
from torch import nn

from mgu.diagnosis import Alarm
from mgu.report.gates import write_pictures
from mgu.report.page import write_report
from mgu.report.saved_diagnosis import CAPTIONS, read_diagnosis
from mgu.study.runner import trial_folder
from mgu.torch import MultiGatedUnit, explain

ALARMS = [{"kind": "undecided", "message": "4 gates stay <near> one half", "advice": "Train longer"}]
#: What a picture needs to be taken for one of ours.
OPENING = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 30 15" width="100%" aria-label="{}">{}</svg>'


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """All files of a diagnosis."""
    torch.manual_seed(0)
    model = nn.Sequential(*(MultiGatedUnit(nn.Linear(4, 4)) for _ in range(7)))
    folder = tmp_path_factory.mktemp("files")
    write_pictures(explain(model, [(torch.randn(16, 4), torch.randint(4, (16,)))]), folder)
    (folder / "diagnosis.json").write_text(json.dumps({"alarms": ALARMS}))
    (folder / "diagnosis.txt").write_text("Layer: ...")
    return folder


@pytest.fixture
def study(record, view, history):
    """A plain model, and an MGU one whose first finished seed is 1."""
    return view(
        record("P1", 0.9),
        record("M 1", 0.95, cell=None, seed=2),
        record("M 1", 0.91, cell=None, seed=1, history=history(0.8, 0.91)),
        record("M 1", cell=None, seed=0, status="failed"),
    )


def folder_of(study, root):
    """The folder of the trial that is shown."""
    folder = trial_folder(root, study.records[2].trial)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def saved(study, files, tmp_path):
    """The study's folder, with all files of a diagnosis."""
    shutil.copytree(files, folder_of(study, tmp_path), dirs_exist_ok=True)
    return tmp_path


def pages(study, root):
    write_report(study, root)
    return [(root / name).read_text(encoding="utf-8") for name in ("report.html", "report.md")]


def images(html):
    return [dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in re.findall("<img [^>]*>", html)]


def test_the_page_holds_the_pictures_of_the_first_finished_seed(study, saved):
    html, _ = pages(study, saved)
    shown = images(html)
    folder = folder_of(study, saved)
    names = ("architecture", "gates-means", "gates-effects", "gates-histograms")
    for image, name in zip(shown, names, strict=True):
        svg = (folder / f"{name}.svg").read_bytes()
        assert image["src"] == "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
        assert f"<title>{unescape(image['alt'])}</title>" in unescape(svg.decode())
        width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg.decode()).groups())
        assert (int(image["width"]), int(image["height"])) == pytest.approx((width * 4 / 3, height * 4 / 3), abs=2)
        assert html.count(f"<figcaption>{CAPTIONS.get(name, 'What is left of each unit')}") == 1
    assert "<p>The gates of M 1, seed 1, on validation samples." in html
    assert "<code>trials/M 1-seed1/diagnosis.txt</code>" in html
    assert "<strong>undecided</strong>: 4 gates stay &lt;near&gt; one half. Train longer.</li>" in html
    assert html.index("Each line is a trial") < html.index("The gates of M 1") < html.index("the test set is read")


def test_every_picture_scrolls_in_a_box_of_its_own(study, saved):
    html, _ = pages(study, saved)
    scrolling = re.findall(r"<figure>\n(<div[^>]*>\n)?<img", html)
    assert len(scrolling) == len(images(html)) > 0
    assert all('class="scroll" role="region"' in div and 'tabindex="0"' in div for div in scrolling)


def test_markdown_leads_to_the_files(study, saved):
    _, text = pages(study, saved)
    targets = [unquote(target) for target in re.findall(r"\]\((trials/[^)\s]*)\)", text)]
    assert [target.rsplit("/", 1)[1] for target in targets] == [
        "diagnosis.txt", "architecture.svg", "gates-means.svg", "gates-effects.svg", "gates-histograms.svg",
    ]  # fmt: skip
    assert all((saved / target).is_file() for target in targets)
    assert "\n- undecided: 4 gates stay &lt;near&gt; one half. Train longer.\n" in text


def test_the_caption_says_when_the_gates_were_decided(record, hardened, study, saved):
    soft = study.records[2]
    for shown, words in (
        (soft, "each gate on the side it is open for"),
        (hardened(soft, 0.9), "as hardened after epoch 1"),
    ):
        assert words in read_diagnosis(saved, shown).pictures[0].caption


def test_a_study_without_a_diagnosis_says_nothing_of_it(study, tmp_path):
    folder_of(study, tmp_path)
    assert all("What the gates do" not in page for page in pages(study, tmp_path))


def test_what_is_there_is_shown(study, tmp_path):
    folder = folder_of(study, tmp_path)
    (folder / "diagnosis.json").write_text('{"alarms": []}')
    html, text = pages(study, tmp_path)
    assert "<li>No alarm.</li>" in html
    assert "- No alarm." in text
    assert "diagnosis.txt" not in html + text
    (folder / "diagnosis.json").unlink()
    (folder / "diagnosis.txt").write_text("Layer: ...")
    html, text = pages(study, tmp_path)
    assert "alarm." not in html + text
    assert "trials/M 1-seed1/diagnosis.txt" in html


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b"{}", b'{"alarms": 3}', b'{"alarms": [{"kind": 1}]}', b"\xff\xfe", b"[" * 200_000],
    ids=lambda content: content[:12].decode("latin-1"),
)
def test_damaged_files_do_not_stop_the_report(study, saved, content):
    folder = folder_of(study, saved)
    for path in folder.iterdir():
        path.write_bytes(content)
    found = read_diagnosis(saved, study.records[2])
    assert (found.alarms, found.pictures) == (None, ())
    assert found.text_path


def test_pipes_are_not_waited_for(study, saved):
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no such pipes here")
    folder = folder_of(study, saved)
    for path in list(folder.iterdir()):
        path.unlink()
        os.mkfifo(path)
    assert read_diagnosis(saved, study.records[2]) is None


def test_what_is_larger_than_any_is_not_read(study, saved):
    folder = folder_of(study, saved)
    for path in folder.iterdir():
        os.truncate(path, 2**40)
    assert read_diagnosis(saved, study.records[2]) is None


def test_a_picture_whose_opening_never_ends_is_none(study, saved):
    folder = folder_of(study, saved)
    (folder / "architecture.svg").write_text("<svg " + 'viewBox="0 0 1 1 ' * 20_000)
    (folder / "gates-means.svg").write_text("<svg" + ' viewBox="0 0 1 1 aria-label=' * 20_000 + ">")
    found = read_diagnosis(saved, study.records[2])
    assert [picture.path.rsplit("/", 1)[1] for picture in found.pictures] == [
        "gates-effects.svg",
        "gates-histograms.svg",
    ]


def test_hostile_files_are_data(study, saved):
    attack = "<script>alert(1)</script>"
    label = "x&quot; onerror=&quot;alert(1)&lt;b&gt;](javascript:alert(1))"
    folder = folder_of(study, saved)
    (folder / "architecture.svg").write_text(OPENING.format(label, attack))
    alarm = {"kind": attack, "message": "![x](javascript:y)\n# heading", "advice": '"><img src=x>'}
    (folder / "diagnosis.json").write_text(json.dumps({"alarms": [alarm]}))
    html, text = pages(study, saved)
    assert html.count("<script") == 1
    shown = images(html)[0]
    assert (shown["width"], shown["height"]) == ("40", "20")
    assert set(shown) == {"src", "width", "height", "alt"}
    assert base64.b64decode(shown["src"].split(",")[1]).decode() == OPENING.format(label, attack)
    assert "<img src=x>" not in html + text
    assert "<script" not in text
    assert "](javascript" not in text.replace("\\](javascript", "")
    assert not re.search("^# heading", text, re.M)


def test_nothing_outside_the_trials_is_read(record, study, saved, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "out-seed0").mkdir()
    for path in folder_of(study, saved).iterdir():
        (elsewhere / "out-seed0" / path.name).write_bytes(path.read_bytes())
        path.unlink()
        path.symlink_to(elsewhere / "out-seed0" / path.name)
    assert read_diagnosis(saved, study.records[2]) is None
    for name in (f"../../../{elsewhere.name}/out", str(elsewhere / "out"), "\0", "\ud800", "n" * 5000):
        assert read_diagnosis(saved, record(name, 0.9, cell=None)) is None
    inside = elsewhere / "trials" / "out-seed0"
    inside.parent.mkdir()
    (elsewhere / "out-seed0").rename(inside)
    found = read_diagnosis(elsewhere, record("out", 0.9, cell=None))
    assert found.alarms == (Alarm(**ALARMS[0]),)
