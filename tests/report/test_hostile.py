"""The report of a study that a stranger wrote: what is in its ledger is text in every file, and no formula."""

import csv
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest


@pytest.fixture
def files(hostile_study):
    return {path.name: path.read_text() for path in hostile_study.iterdir() if path.suffix != ".sqlite"}


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_the_page_has_no_markup_but_its_own(files):
    tags = Tags(files["report.html"]).found
    assert [tag for tag, _ in tags].count("script") == 1
    assert not {"iframe", "img", "a:href"} & {tag for tag, _ in tags}
    assert not [name for _, attrs in tags for name in attrs if name.startswith("on")]
    assert all(attrs.get("href", "#").startswith(("#", "data:,")) for _, attrs in tags)
    assert "window.ran=1" in files["report.html"]  # the text itself is shown


@pytest.mark.parametrize("name", ["cost.svg", "history.svg", "spending.svg"])
def test_pictures_have_no_scripts(name, files):
    root = ElementTree.fromstring(files[name])
    assert not [e.tag for e in root.iter() if re.search("script|foreignObject|iframe|image", e.tag)]
    assert not [key for e in root.iter() for key in e.attrib if key.split("}")[-1].startswith("on")]


def test_markdown_has_no_markup_but_its_own(files):
    text = re.sub(r"^    .*$", "", files["report.md"], flags=re.M)  # commands stand as code
    assert not re.search(r"<\s*(script|img|svg|iframe|a)\b", text)
    assert not re.search(r"(?<!\\)\]\((?!(cost|history|spending)\.svg)", text)
    assert "# heading" not in text.splitlines()
    assert "\x1b" not in text


@pytest.mark.parametrize("name", ["results.csv", "search_costs.csv"])
def test_a_spreadsheet_works_nothing_out(name, files):
    cells = [cell for row in csv.reader(files[name].splitlines()) for cell in row]
    assert cells
    assert not [cell for cell in cells if re.match(r"[=@\t\r]|[+-](?!\d|inf)", cell)]
