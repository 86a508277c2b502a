"""Image, annotation and output side by side, and as EMAN2's trainout stack."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import Run, make_card, put_card
from PIL import Image

from tomoseg_tui.io.formats import open_stack
from tomoseg_tui.io.triples_file import TripleSet, write_triples
from tomoseg_tui.project.catalog import Project

Door = Callable[..., Run]
EDGE = 32


@pytest.fixture
def triples(project: Project) -> TripleSet:
    """Three tiles: one trained on and all wrong; two held out, the first right, the second half right."""
    layers = np.ones((3, 1, EDGE, EDGE), np.uint8)
    layers[:, 0, :8] = 2
    outputs = np.where(layers == 2, np.float32(0.9), np.float32(0.1))
    outputs[0] = 1 - outputs[0]
    outputs[2, 0, :4] = 0
    images = np.random.default_rng(7).standard_normal((3, EDGE, EDGE), dtype=np.float32)
    made = TripleSet(
        ("cell:1,1,1:32", "cell:2,2,2:32", "cell:3,3,3:32"),
        ("tube",),
        np.array([False, True, True]),
        images,
        layers,
        outputs,
    )
    put_card(project, make_card())
    write_triples(project.layout.network_triples("run"), made)
    return made


def test_the_worst_held_out_tiles_come_first(door: Door, triples: TripleSet) -> None:
    rows = door("networks", "triples", "run", "--json").json
    assert [row["tile"] for row in rows] == ["cell:3,3,3:32", "cell:2,2,2:32", "cell:1,1,1:32"]
    assert [row["pixels_that_differ"] for row in rows] == [4 * EDGE, 0, EDGE * EDGE]
    assert [row["dice"] for row in rows] == [pytest.approx(2 / 3), 1.0, 0.0]
    assert [row["tile"] for row in door("networks", "triples", "run", "--worst", 1, "--json").json] == ["cell:3,3,3:32"]


@pytest.mark.parametrize("suffix", ["hdf", "mrc"])
def test_a_stack_contains_image_annotation_and_output_with_row_0_first(
    door: Door, triples: TripleSet, tmp_path: Path, suffix: str
) -> None:
    done = door("networks", "triples", "run", "-o", tmp_path / f"triples.{suffix}")
    assert not done.out
    stack = open_stack(tmp_path / f"triples.{suffix}")
    assert stack.shape == (9, EDGE, EDGE)
    np.testing.assert_allclose(stack[0], triples.images[2])
    np.testing.assert_array_equal(stack[1], triples.layers[2, 0] == 2)
    np.testing.assert_allclose(stack[2], triples.outputs[2, 0])
    assert "exists" in door("networks", "triples", "run", "-o", tmp_path / f"triples.{suffix}", code=2).err


def test_an_image_shows_three_images_per_row(door: Door, triples: TripleSet, tmp_path: Path) -> None:
    door("networks", "triples", "run", "--worst", 2, "-o", tmp_path / "triples.png")
    with Image.open(tmp_path / "triples.png") as picture:
        width, height = picture.size
    factor = width // (3 * EDGE + 8)
    assert (width, height) == (factor * (3 * EDGE + 8), factor * (2 * EDGE + 4))
    drawn = door("networks", "triples", "run", "--renderer", "ascii", "--width", 104)
    assert drawn.out.isascii()
    assert "cell:3,3,3:32  tube  Dice 0.67, 128 pixels differ, held out" in drawn.err


def test_a_feature_that_the_run_lacks_is_refused(refused: Callable[..., str], triples: TripleSet) -> None:
    assert "run has no feature wall" in refused("networks", "triples", "run", "--feature", "wall")
    assert "not the name of a PNG" in refused("networks", "triples", "run", "-o", "x.tif")
