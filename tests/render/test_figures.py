"""Pictures of slices and triples, and their size in files."""

import numpy as np

from tomoseg_tui.render.colours import make_palette
from tomoseg_tui.render.figures import FILE_PIXELS, enlarge_for_file, render_slice, render_triple


def test_a_triple_is_white_for_the_feature_and_grey_for_undecided_pixels() -> None:
    annotation = np.array([[0, 1, 2, 3]], np.uint8)
    output = np.array([[0.0, 0.2, 1.0, 0.6]], np.float32)
    _, annotated, predicted = render_triple(output, annotation, output)
    assert annotated.grey.tolist() == [[96, 0, 255, 96]]
    assert predicted.grey.tolist() == [[0, 51, 255, 153]]


def test_only_small_pictures_are_enlarged_in_a_file() -> None:
    small = render_slice(np.random.default_rng(7).normal(size=(30, 48)).astype(np.float32))
    assert enlarge_for_file(small).shape == (600, 960, 3)
    large = render_slice(np.zeros((4, FILE_PIXELS + 1), np.float32))
    assert enlarge_for_file(large).shape == (4, FILE_PIXELS + 1, 3)


def test_labels_are_drawn_over_the_greys() -> None:
    labels = np.zeros((2, 2), np.uint8)
    labels[0] = 1
    picture = render_slice(np.zeros((2, 2), np.float32), labels, make_palette({1: "tube"}))
    rgb = enlarge_for_file(picture)
    assert (rgb[0] == rgb[0, :, :1]).all()  # y points up: row 0 is at the bottom
    assert (rgb[-1] != rgb[-1, :, :1]).any()
