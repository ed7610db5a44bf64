"""A report's content as a page of HTML or Markdown, in which no name or message is read as markup."""

import re
from collections.abc import Mapping
from functools import cache
from html import escape
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

#: What Markdown may read as markup inside a line: a link's "](", an underscore that is not inside a word, and the rest.
_MARKUP = re.compile(r"\](?=\()|(?<![^\W_])_|_(?![^\W_])|[\\`*|~]")

#: What a terminal that shows the page takes for a command.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def render(name: str, content: Mapping[str, Any]) -> str:
    """The template of that name in ``templates``, filled in."""
    return _environment().get_template(name).render(content)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mgu.report", "templates"),
        autoescape=select_autoescape(("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["markdown"] = _markdown
    environment.filters["svg"] = Markup
    environment.filters["url"] = quote
    return environment


def _markdown(value: object) -> str:
    """Text for one line or table cell of Markdown, none of which is read as markup."""
    text = escape(" ".join(_CONTROLS.sub(" ", str(value)).split()), quote=False)
    return _MARKUP.sub(r"\\\g<0>", text)
