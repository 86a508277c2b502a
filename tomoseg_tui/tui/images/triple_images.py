"""Images of the triples of a run: image, annotation and output side by side, or one over the other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.names import IGNORE
from tomoseg_tui.errors import UsageError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.render.colours import LabelStyle, make_palette
from tomoseg_tui.render.figures import enlarge_for_file, render_slice, render_triple
from tomoseg_tui.render.renderer import Picture, arrange_pictures
from tomoseg_tui.workflow.export import export_png, export_triples
from tomoseg_tui.workflow.views import TripleView, load_triples, select_triples

_GAP = 2
"""Gap between the images of a triple, pixels."""


def sort_triples(views: Sequence[TripleView], *, is_best_first: bool) -> list[TripleView]:
    """Return triples by the number of wrong pixels, held-out ones first.

    Among the best, triples with the feature come first: an empty tile is easy to get right.
    """
    if not is_best_first:
        return sorted(views, key=lambda view: (not view.held_out, -view.wrong_pixels))
    return sorted(views, key=lambda view: (not view.held_out, not (view.annotation == FEATURE).any(), -view.dice))


def format_triple_score(view: TripleView) -> str:
    """Return the score of the network on a tile."""
    return f"{view.feature}  Dice {view.dice:.2f}  {view.wrong_pixels} pixels differ"


def format_triple_origin(view: TripleView) -> str:
    """Return the tile, and whether it was used to train the network."""
    return f"{view.tile}  {'held out' if view.held_out else 'learned from'}"


def triple_picture(view: TripleView) -> Picture:
    """Return image, annotation and output in a row."""
    return arrange_pictures([render_triple(view.image, view.annotation, view.output)], gap=_GAP)


def comparison_picture(
    view: TripleView, features: Sequence[str], thresholds: Mapping[str, float], *, show_network: bool
) -> Picture:
    """Return the image, and beside it the image with the annotation or the prediction as overlay.

    Parameters
    ----------
    features : sequence of str
        All features of the project; their order sets letters and colours.
    thresholds : mapping of str to float
        Probability threshold of each feature.
    show_network : bool
        Show the prediction instead of the annotation.
    """
    image = render_slice(view.image)
    labels = np.zeros(view.annotation.shape, np.uint8)
    if show_network:
        labels[view.output > thresholds.get(view.feature, 0.5)] = 1
    else:
        labels[view.annotation == FEATURE] = 1
        labels[view.annotation == 3] = 2
    return arrange_pictures([[image, Picture(image.grey, labels, _feature_palette(view.feature, features))]], gap=_GAP)


def _feature_palette(feature: str, features: Sequence[str]) -> tuple[LabelStyle, ...]:
    """Return the style of the feature as label 1 and that of ignored pixels as label 2."""
    styles = {style.name: style for style in make_palette(dict(enumerate([*features, IGNORE], start=1)))}
    shown_styles = [styles[name] for name in (feature, IGNORE) if name in styles]
    return tuple(LabelStyle(label, s.name, s.letter, s.rgb) for label, s in enumerate(shown_styles, start=1))


def write_triples_file(project: Project, run: str, path: Path, *, force: bool) -> None:
    """Write triples into a file like the command does: the worst as a PNG picture, all as a stack. For threads.

    Raises
    ------
    UsageError
        If the run has no triples.
    """
    views = load_triples(project, run)
    if not views:
        raise UsageError(f"{run} has no predicted tile.", "Train it again.")
    if path.suffix.lower() != ".png":
        export_triples(project, run, views, path, force=force)
        return
    rows = [render_triple(view.image, view.annotation, view.output) for view in select_triples(views, None)]
    export_png(enlarge_for_file(arrange_pictures(rows)), path, force=force)
