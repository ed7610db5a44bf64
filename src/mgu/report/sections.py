"""The sections of a report, in order: each has a template of its name."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mgu.report.score import Score


@dataclass(frozen=True)
class Section:
    """A section of the page: its template's name, which is its anchor too, its title, which may name the score, and
    what of the content it is left out without, where it needs anything."""

    name: str
    title: str
    needs: str = ""


SECTIONS = (
    Section("cost", "{score} and cost"),
    Section("models", "The models, best first"),
    Section("facts", "What the answer rests on"),
    Section("answers", "Test metrics"),
    Section("spending", "What each model took", needs="took"),
    Section("searches", "Search costs", needs="costs"),
    Section("histories", "Training histories"),
    Section("gates", "What the gates do", needs="diagnosis"),
    Section("wrong", "What went wrong", needs="records"),
    Section("measured", "How the clock and the meter worked"),
    Section("repeat", "Everything needed to repeat it"),
)


def sections(content: Mapping[str, Any], score: Score) -> list[Section]:
    """Those that the content has something for."""
    name = score.name.capitalize()
    shown = (section for section in SECTIONS if not section.needs or content[section.needs])
    return [replace(section, title=section.title.format(score=name)) for section in shown]
