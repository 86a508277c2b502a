"""Features to choose with space; a mark that is readable without colours shows which are chosen."""

from collections.abc import Collection, Mapping
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tomoseg_tui.core.tiles import FeatureState, count_states
from tomoseg_tui.render.colours import make_palette
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot


class FeatureList(OptionList):
    """A list of features, one per line.

    Parameters
    ----------
    descriptions : mapping of str to str
        Text of each line, by feature.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "space,enter", "select", "Choose", id="features.choose", tooltip="Choose the feature, or clear the choice"
        ),
        Binding("j", "cursor_down", "Down", show=False, id="features.down", tooltip="Down"),
        Binding("k", "cursor_up", "Up", show=False, id="features.up", tooltip="Up"),
    ]

    class Changed(Message):
        """The choice has changed."""

    def __init__(self, descriptions: Mapping[str, str], chosen: Collection[str]) -> None:
        self._descriptions = dict(descriptions)
        self._chosen = set(chosen)
        super().__init__(*(Option(self._line(feature), id=feature) for feature in descriptions), compact=True)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The chosen features, in the order of the list."""
        return tuple(feature for feature in self._descriptions if feature in self._chosen)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        feature = event.option_id or ""
        self._chosen ^= {feature}
        self.replace_option_prompt(feature, self._line(feature))
        self.post_message(self.Changed())

    def _line(self, feature: str) -> Content:
        return Content(f"[{'x' if feature in self._chosen else ' '}] {self._descriptions[feature]}")


def make_feature_list(snapshot: ProjectSnapshot, *, chosen: Collection[str]) -> FeatureList:
    """Return a list of the features of the project, each with its letter and its numbers of tiles."""
    styles = make_palette(dict(enumerate(snapshot.features, start=1)))
    width = max(len(style.name) for style in styles)
    counts = count_states(snapshot.all_tiles, snapshot.features)
    descriptions = {
        one.name: f"{one.letter} {one.name:<{width}}  {_describe_counts(counts[one.name])}" for one in styles
    }
    return FeatureList(descriptions, chosen)


def _describe_counts(counts: Mapping[FeatureState, int]) -> str:
    names = {
        FeatureState.ANNOTATED: "annotated",
        FeatureState.NONE_HERE: "none here",
        FeatureState.WANTED: "to annotate",
    }
    return ", ".join(f"{counts[state]} {name}" for state, name in names.items() if counts[state]) or "no tiles"
