"""Tiles of a tomogram: their order, counts and boxes. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tomoseg_tui.core.holdout import OVERLAP_SLICES
from tomoseg_tui.core.names import ANY_FEATURE
from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.render.colours import LabelStyle, Palette
from tomoseg_tui.tui.canvas.tile_boxes import Box
from tomoseg_tui.workflow.tomograms.sanity_checks import Oddity, tile_oddities

ANY_STYLE = LabelStyle(0, ANY_FEATURE, ANY_FEATURE, (200, 200, 200))
"""Letter of a tile that is negative for all features."""
_STATE_TEXTS = {FeatureState.WANTED: "to do", FeatureState.ANNOTATED: "done", FeatureState.NONE_HERE: "none"}
CLICK_RADIUS_SHARE = 0.25
"""Greatest distance of a click from the centre of a tile that selects the tile, as a fraction of its edge."""


def feature_style(feature: str, palette: Palette) -> LabelStyle:
    """Return the colour and the letter of a feature."""
    return next((style for style in palette if style.name == feature), ANY_STYLE)


def positive_features(tile: Tile) -> list[str]:
    """Return the features that a tile is positive for."""
    return [feature for feature, state in tile.states.items() if state.is_positive]


def main_feature(tile: Tile) -> str:
    """Return the feature that gives a tile its colour: the first positive one, else the first negative one."""
    return next(iter(positive_features(tile) or tile.states), ANY_FEATURE)


def tile_letter(tile: Tile, palette: Palette) -> str:
    """Return the letter of a tile: a capital for positive tiles, lower case for negative ones."""
    letter = feature_style(main_feature(tile), palette).letter
    return letter if positive_features(tile) else letter.lower()


def boxes_for_tiles(tiles: Iterable[Tile], palette: Palette, selected: TileLocation | None) -> list[Box]:
    """Return the boxes of tiles for the canvas."""
    boxes = []
    for tile in tiles:
        location, style = tile.location, feature_style(main_feature(tile), palette)
        letter = tile_letter(tile, palette)
        boxes.append(
            Box(location.z, location.y, location.x, location.size, letter, style.rgb, selected=location == selected)
        )
    return boxes


def describe_states(tile: Tile, palette: Palette) -> str:
    """Return the state of each feature, such as ``M done, E none``."""
    main = main_feature(tile)
    ordered = sorted(tile.states.items(), key=lambda item: item[0] != main)
    return ", ".join(f"{feature_style(feature, palette).letter} {_STATE_TEXTS[state]}" for feature, state in ordered)


def describe_counts(tiles: Sequence[Tile], palette: Palette) -> str:
    """Return how many tiles are positive and negative for each feature, and how many wait for annotation."""
    parts = [f"{len(tiles)} tile{'' if len(tiles) == 1 else 's'}"]
    for style in (*palette, ANY_STYLE):
        states = [tile.states[style.name] for tile in tiles if style.name in tile.states]
        positive_count = sum(state.is_positive for state in states)
        if states:
            parts.append(
                f"{style.letter} {positive_count}+{len(states) - positive_count}"
                if style is not ANY_STYLE
                else f"* {len(states)}"
            )
    wanted_count = sum(FeatureState.WANTED in tile.states.values() for tile in tiles)
    return "  ".join([*parts, *([f"? {wanted_count}"] if wanted_count else [])])


@dataclass(frozen=True)
class TileIndex:
    """Tiles of one tomogram by slice, so that overlaps are found without comparing all pairs."""

    shape_zyx: tuple[int, int, int]
    slices: dict[int, list[Tile]]

    @classmethod
    def from_tiles(cls, tiles: Iterable[Tile], shape_zyx: tuple[int, int, int]) -> "TileIndex":
        """Index tiles by slice."""
        slices: dict[int, list[Tile]] = {}
        for tile in tiles:
            slices.setdefault(tile.location.z, []).append(tile)
        return cls(shape_zyx, slices)

    def oddities(self, location: TileLocation, feature: str | None) -> tuple[Oddity, ...]:
        """Return the warnings about a tile for a feature; None for a negative."""
        near_slices = range(location.z - OVERLAP_SLICES, location.z + OVERLAP_SLICES + 1)
        return tile_oddities(
            location, feature, self.shape_zyx, [tile for z in near_slices for tile in self.slices.get(z, [])]
        )

    def tile_at(self, z: int, y: int, x: int) -> Tile | None:
        """Return the tile centred on a voxel."""
        return next((t for t in self.slices.get(z, []) if (t.location.y, t.location.x) == (y, x)), None)

    def clicked_tile(self, z: int, y: int, x: int) -> Tile | None:
        """Return the nearest tile whose centre is close to a clicked voxel."""

        def distance(tile: Tile) -> float:
            return max(abs(tile.location.y - y), abs(tile.location.x - x)) / tile.location.size

        nearest = min(self.slices.get(z, []), key=distance, default=None)
        return nearest if nearest is not None and distance(nearest) <= CLICK_RADIUS_SHARE else None
