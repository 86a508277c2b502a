"""How the tiles of one tomogram are listed, counted, and drawn as boxes; values in, values out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tomoseg_tui.core.holdout import OVERLAP_SLICES
from tomoseg_tui.core.names import ANY_FEATURE
from tomoseg_tui.core.tiles import FeatureState, Place, Tile
from tomoseg_tui.render.overlay import LabelStyle, Palette
from tomoseg_tui.tui.canvas.tile_boxes import Box
from tomoseg_tui.workflow.tomograms.sanity_checks import Oddity, odd_place

ANY_STYLE = LabelStyle(0, ANY_FEATURE, ANY_FEATURE, (200, 200, 200))
"""How a tile that holds none of any feature is marked."""
_WORDS = {FeatureState.WANTED: "to do", FeatureState.ANNOTATED: "done", FeatureState.NONE_HERE: "none"}
PICK_SHARE = 0.25
"""A click this near to a tile's centre, as a share of its edge, means the tile and not the voxel."""


def style_of(feature: str, palette: Palette) -> LabelStyle:
    """Return colour and letter of a feature."""
    return next((style for style in palette if style.name == feature), ANY_STYLE)


def positives(tile: Tile) -> list[str]:
    """Return the features that a tile is positive for."""
    return [feature for feature, state in tile.states.items() if state.is_positive]


def main_feature(tile: Tile) -> str:
    """Return the feature that a tile is drawn for: the first that it holds, else the first that it does not."""
    return next(iter(positives(tile) or tile.states), ANY_FEATURE)


def letter_of(tile: Tile, palette: Palette) -> str:
    """Return a tile's letter: a capital where it holds the feature, small where it holds none."""
    letter = style_of(main_feature(tile), palette).letter
    return letter if positives(tile) else letter.lower()


def boxes_of(tiles: Iterable[Tile], palette: Palette, selected: Place | None) -> list[Box]:
    """Return the tiles as the canvas draws them."""
    found = []
    for tile in tiles:
        place, style = tile.place, style_of(main_feature(tile), palette)
        letter = letter_of(tile, palette)
        found.append(Box(place.z, place.y, place.x, place.size, letter, style.rgb, selected=place == selected))
    return found


def states_in_words(tile: Tile, palette: Palette) -> str:
    """Return what is known of each feature, such as ``M done, E none``."""
    first = main_feature(tile)
    ordered = sorted(tile.states.items(), key=lambda known: known[0] != first)
    return ", ".join(f"{style_of(feature, palette).letter} {_WORDS[state]}" for feature, state in ordered)


def counts_in_words(tiles: Sequence[Tile], palette: Palette) -> str:
    """Return how many tiles hold each feature, how many are negative for each, and how many wait for annotation."""
    words = [f"{len(tiles)} tile{'' if len(tiles) == 1 else 's'}"]
    for style in (*palette, ANY_STYLE):
        states = [tile.states[style.name] for tile in tiles if style.name in tile.states]
        held = sum(state.is_positive for state in states)
        if states:
            words.append(
                f"{style.letter} {held}+{len(states) - held}" if style is not ANY_STYLE else f"* {len(states)}"
            )
    wanted = sum(FeatureState.WANTED in tile.states.values() for tile in tiles)
    return "  ".join([*words, *([f"? {wanted}"] if wanted else [])])


@dataclass(frozen=True)
class Neighbourhood:
    """Tiles of one tomogram by slice, so that what overlaps is found without comparing all with all."""

    shape_zyx: tuple[int, int, int]
    slices: dict[int, list[Tile]]

    @classmethod
    def of(cls, tiles: Iterable[Tile], shape_zyx: tuple[int, int, int]) -> "Neighbourhood":
        """Sort tiles by slice."""
        slices: dict[int, list[Tile]] = {}
        for tile in tiles:
            slices.setdefault(tile.place.z, []).append(tile)
        return cls(shape_zyx, slices)

    def odd(self, place: Place, feature: str | None) -> tuple[Oddity, ...]:
        """Return what is odd about a tile at a place for a feature; None for a negative."""
        near = range(place.z - OVERLAP_SLICES, place.z + OVERLAP_SLICES + 1)
        return odd_place(place, feature, self.shape_zyx, [tile for z in near for tile in self.slices.get(z, [])])

    def at(self, z: int, y: int, x: int) -> Tile | None:
        """Return the tile whose centre a voxel is."""
        return next((t for t in self.slices.get(z, []) if (t.place.y, t.place.x) == (y, x)), None)

    def meant_by_click(self, z: int, y: int, x: int) -> Tile | None:
        """Return the tile that a click on a voxel means: the nearest, if its centre is near."""

        def distance(tile: Tile) -> float:
            return max(abs(tile.place.y - y), abs(tile.place.x - x)) / tile.place.size

        nearest = min(self.slices.get(z, []), key=distance, default=None)
        return nearest if nearest is not None and distance(nearest) <= PICK_SHARE else None
