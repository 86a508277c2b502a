"""One tile with all that is painted on it, as the disk has it: layers, states, journal, and what can be undone."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomoseg_tui.core.annotation import Layer, applied, empty_layer
from tomoseg_tui.core.tiles import FeatureState, Place, Tile
from tomoseg_tui.files.atomic import sweep_drafts
from tomoseg_tui.project import catalog, stroke_log
from tomoseg_tui.project.annotation_files import KeptLayer, read_kept_layer, write_layer
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import LayerSource, StateRecord, now, write_record
from tomoseg_tui.project.stroke_log import History, Journal, Line, Mark

DONE, WANTED, NONE_HERE = "done", "wanted", "none here"
"""Tools that give a feature another state; of these alone a layer is not said to be painted."""
_LOOKS = 5
"""Reading begins again so often while somebody else paints."""


@dataclass(frozen=True, eq=False)
class KeptTile:
    """What the disk holds of one tile."""

    place: Place
    layers: Mapping[str, Layer]
    """Of each feature asked for, empty where there is none."""
    marks: Mapping[str, Mark | None]
    """How far in the journal the file of each layer has come; features without a file are missing."""
    records: Mapping[str, StateRecord]
    """States of its own, ``*`` among them."""
    journal: Journal | None
    """None as long as nothing was painted."""
    replaced: frozenset[str]
    """Features that were painted, and whose layer another program has written since."""

    @property
    def tile(self) -> Tile:
        """The place and its states."""
        return Tile(self.place, {feature: record.state for feature, record in self.records.items()})

    @property
    def history(self) -> History:
        """What can be undone and redone: of what was painted on the layers as they are."""
        lines = () if self.journal is None else self.journal.lines
        return stroke_log.history_of(
            [line for line in lines if line.feature in self.layers and line.feature not in self.replaced]
        )

    def is_as(self, other: "KeptTile") -> bool:
        """Tell whether nothing has changed between two looks at one tile."""
        same_layers = all(np.array_equal(layer, other.layers[feature]) for feature, layer in self.layers.items())
        same_journal = _mark_of(self.journal) == _mark_of(other.journal)
        return same_layers and same_journal and self.tile.states == other.tile.states


def _mark_of(known: Journal | None) -> Mark | None:
    return None if known is None else known.mark


def read_tile(layout: ProjectLayout, place: Place, features: Sequence[str]) -> KeptTile:
    """Return what the disk holds of a tile.

    Raises
    ------
    ProjectError
        If a layer is damaged.
    """
    for _ in range(_LOOKS):
        length = _length(layout.strokes(place))
        known = stroke_log.read_journal(layout.strokes(place))
        found = {feature: read_kept_layer(layout, place, feature) for feature in features}
        if length == _length(layout.strokes(place)):
            break
    return KeptTile(
        place,
        {feature: empty_layer(place.size) if kept is None else kept.layer for feature, kept in found.items()},
        {feature: kept.mark for feature, kept in found.items() if kept is not None},
        catalog.states_at(layout, place),
        known,
        frozenset(feature for feature in features if _was_replaced(feature, found[feature], known)),
    )


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _was_replaced(feature: str, kept: KeptLayer | None, known: Journal | None) -> bool:
    """Tell whether what a layer's file holds is not what the journal says last of it."""
    own = [line for line in known.lines if line.feature == feature] if known is not None else []
    if known is None or not own or own[-1].kind == stroke_log.REPLACED:
        return False
    if kept is None or kept.mark is None or kept.mark.journal != known.id:
        return True
    return own[-1].end != stroke_log.layer_sum(kept.layer)


def sweep_tile(layout: ProjectLayout, place: Place, features: Sequence[str]) -> None:
    """Remove what a killed process has left unfinished; for whoever holds the tile's claim."""
    named = [(layout.annotation(place, feature), layout.tile_state(place, feature)) for feature in features]
    sweep_drafts(layout.strokes(place), *(path for paths in named for path in paths))


def write_lines(layout: ProjectLayout, kept: KeptTile, lines: Sequence[Line]) -> KeptTile:
    """Write what was painted: states, then the journal, then the layers; return what the disk holds then.

    The caller holds the tile's claim, and `kept` is as the disk is.

    Parameters
    ----------
    layout : ProjectLayout
    kept : KeptTile
        The tile before.
    lines : sequence of Line
        Strokes, undos and redos, in their order.

    Raises
    ------
    OSError
        If the disk is full or the like; the journal is as it was then.
    """
    features = list(dict.fromkeys(line.feature for line in lines))
    kept = _with_journal(layout, kept, features)
    records = dict(kept.records)
    for feature in features:
        _write_state(layout, kept.place, records, [line for line in lines if line.feature == feature])
    book = kept.journal or stroke_log.begin_journal(layout.strokes(kept.place))
    end = stroke_log.append_lines(layout.strokes(kept.place), book.end, lines)
    book = replace(book, lines=(*book.lines, *lines), end=end)
    layers, marks = dict(kept.layers), dict(kept.marks)
    for line in lines:
        layers[line.feature] = applied(layers[line.feature], line.change)
    for feature in features:
        # The strokes are kept already, and whoever reads sees them: a file that lags behind is no fault.
        with contextlib.suppress(OSError):
            write_layer(layout.annotation(kept.place, feature), layers[feature], book.mark)
            marks[feature] = book.mark
    return replace(kept, layers=layers, marks=marks, records=records, journal=book)


def _with_journal(layout: ProjectLayout, kept: KeptTile, features: Sequence[str]) -> KeptTile:
    """Return the tile with a journal that fits its layers, and files of the features that say how far they have come.

    Else a stroke that is in the journal only could not be told from one that another program has wiped.
    """
    path, book = layout.strokes(kept.place), kept.journal
    known = [mark for mark in kept.marks.values() if mark is not None]
    if book is None or any(mark.journal == book.id and mark.at > book.end for mark in known):
        book, features = stroke_log.begin_journal(path), [*features, *kept.marks]
    replaced = [feature for feature in features if feature in kept.replaced]
    if replaced:
        end = stroke_log.append_lines(
            path, book.end, [Line(stroke_log.REPLACED, feature, at=now()) for feature in replaced]
        )
        book = replace(book, end=end)
    marks = dict(kept.marks)
    for feature in features:
        mark = marks.get(feature)
        if mark is None or mark.journal != book.id or feature in replaced:
            write_layer(layout.annotation(kept.place, feature), kept.layers[feature], book.mark)
            marks[feature] = book.mark
    return replace(kept, marks=marks, journal=book, replaced=kept.replaced - set(replaced))


def _write_state(layout: ProjectLayout, place: Place, records: dict[str, StateRecord], lines: Sequence[Line]) -> None:
    """Write the state that a feature has after some lines of its own, and that its layer is painted."""
    feature = lines[0].feature
    old = records.get(feature)
    state: FeatureState | None = old.state if old is not None else None
    for line in lines:
        state = line.states[1] if line.states is not None else state
    if state is None:
        layout.tile_state(place, feature).unlink(missing_ok=True)
        records.pop(feature, None)
        return
    record = StateRecord(state, now(), _source(state, old, lines))
    if old is None or (record.state, record.layer) != (old.state, old.layer):
        layout.tile_folder(place).mkdir(parents=True, exist_ok=True)
        write_record(layout.tile_state(place, feature), record)
        records[feature] = record


def _source(state: FeatureState, old: StateRecord | None, lines: Sequence[Line]) -> LayerSource | None:
    if state is FeatureState.NONE_HERE:
        return None
    known = old.layer if old is not None else None
    painted = any(line.tool not in {DONE, WANTED, NONE_HERE} for line in lines)
    if known is not None and (known.kind == "painted" or not painted):
        return known
    return LayerSource("painted", None, now())
