"""Sets of EMAN2, one per line: name, meaning and contents."""

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from tomoseg_tui.core.names import IGNORE
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.workflow.eman2.box_sets import Meaning, feature_name, guess_meanings, parse_meaning, sounds_negative

MEANING_HINT = "Give the meaning of each set: FEATURE, FEATURE:negative (none of it), *:negative, or ignore to skip it."


class BoxSetRow(Horizontal):
    """A set."""

    def __init__(self, name: str, meaning: Meaning, count: str) -> None:
        super().__init__(classes="set-row")
        self.set_name, self._meaning, self._count = name, meaning, count

    def compose(self) -> ComposeResult:
        yield Static(self.set_name, classes="set-name", markup=False)
        yield Input(
            self._meaning.text, placeholder=IGNORE, suggester=SuggestFromList([IGNORE, "*:negative"]), compact=True
        )
        yield Static(self._count, classes="set-count", markup=False)

    def read(self) -> Meaning:
        """Return the typed meaning; an empty field leaves the set out."""
        typed = self.query_one(Input).value.strip()
        try:
            return parse_meaning(typed or IGNORE)
        except TomosegError as fault:
            raise UsageError(f"{self.set_name}: {fault.fault}", fault.fix) from fault


class BoxSetRows(VerticalScroll):
    """All sets."""

    def __init__(self, counts: Mapping[str, str]) -> None:
        super().__init__(classes="set-rows", can_focus=False)
        self._counts = counts

    def compose(self) -> ComposeResult:
        meanings = guess_meanings(self._counts)
        for name, count in self._counts.items():
            yield BoxSetRow(name, meanings[name], count)

    def read(self) -> dict[str, Meaning]:
        """Return the meanings to pass on; a set that is the feature of its name needs none.

        Raises
        ------
        UsageError
            If a typed text is not a meaning.
        """
        meanings = {row.set_name: row.read() for row in self.query(BoxSetRow)}
        return {name: meaning for name, meaning in meanings.items() if _is_not_default(name, meaning)}


def _is_not_default(name: str, meaning: Meaning) -> bool:
    return sounds_negative(name) or meaning != Meaning(feature_name(name))


def format_counts(**numbers: int) -> str:
    """Return counts as text, without zeros: ``format_counts(box=3, tile=1)`` is "3 boxes, 1 tile"."""
    return ", ".join(
        f"{number} {noun}{'' if number == 1 else 'es' if noun.endswith('x') else 's'}"
        for noun, number in numbers.items()
        if number
    )
