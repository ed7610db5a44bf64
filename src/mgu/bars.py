"""A bar that shows how far a training is, on a terminal and in a notebook."""

from html import escape
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Bar(Protocol):
    """One line for what is under way, shown until it is hidden."""

    def show(self, what: str, state: str, done: int, total: int) -> None: ...

    def hide(self) -> None: ...


class NoBar:
    """Where nobody looks."""

    def show(self, what: str, state: str, done: int, total: int) -> None:
        pass

    def hide(self) -> None:
        pass


class TerminalBar(Progress):
    """Rich's progress bar with the time that what is under way has taken."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )

    def show(self, what: str, state: str, done: int, total: int) -> None:
        if not self.task_ids:
            self.start()
            self.add_task(what, total=total, state=state)
        self.update(self.task_ids[-1], description=what, completed=done, total=total, state=state)

    def hide(self) -> None:
        for task in list(self.task_ids):
            self.remove_task(task)
        self.stop()


class NotebookBar:
    """An output of the notebook's cell, replaced in its place.

    It needs IPython alone, where rich's live displays need ipywidgets, and is plain HTML in a notebook that is saved.
    """

    def __init__(self) -> None:
        from IPython.display import DisplayHandle

        self.handle = DisplayHandle()
        self.stands = False

    def show(self, what: str, state: str, done: int, total: int) -> None:
        text = f"{what}  {state}"
        html = f'<progress value="{done}" max="{total}"></progress> <code>{escape(text)}</code>'
        self._put({"text/plain": text, "text/html": html})

    def hide(self) -> None:
        if self.stands:
            self._put({"text/plain": "", "text/html": ""})

    def _put(self, content: dict[str, str]) -> None:
        put = self.handle.update if self.stands else self.handle.display
        put(content, raw=True)
        self.stands = True


def bar_on(console: Console) -> Bar:
    """The bar that fits where the console's words go; none for a file or a pipe."""
    if console.quiet:
        return NoBar()
    return NotebookBar() if console.is_jupyter else TerminalBar(console) if console.is_terminal else NoBar()
