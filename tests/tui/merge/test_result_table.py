"""The contents of the table of labels."""

import numpy as np
from rich.console import Console, RenderableType

from tomoseg_tui.core.merge import merge_block
from tomoseg_tui.project.records import Conflict, LabelEntry, LabelSidecar
from tomoseg_tui.render.colours import make_palette
from tomoseg_tui.tui.merge.result_table import result_table, volume_nm3, volume_table

PALETTE = make_palette({1: "microtubule", 2: "membrane"})
VOLUME = LabelSidecar(
    tomogram="cell",
    name="merged",
    labels={"1": LabelEntry("microtubule", "net", 0.25, 1_234_567), "2": LabelEntry("membrane", "net", 0.5, 12)},
    conflicts=[Conflict(1, 2, 345)],
)


def text_of(table: RenderableType) -> str:
    console = Console(width=60, record=True, file=None)
    with console.capture() as caught:
        console.print(table)
    return caught.get()


def test_the_volume_of_a_voxel_of_10_angstrom_is_one_cubic_nanometre() -> None:
    assert volume_nm3(5, 10.0) == 5.0
    assert volume_nm3(8, 5.0) == 1.0


def test_slice_and_whole_volume_are_side_by_side() -> None:
    block = merge_block([np.full((1, 4), 127, np.int8), np.array([[0, 0, 0, 100]], np.int8)], [0.5, 0.5])
    text = text_of(result_table(PALETTE, 20.0, block, VOLUME))
    assert "1 M microtubule" in text
    assert "4 1,234,567 9,876,536" in " ".join(text.split())
    assert "2 lost 1 here, 345 in all to 1" in text


def test_before_anything_is_written_the_volume_column_is_empty() -> None:
    text = text_of(result_table(PALETTE, 20.0, None, None))
    assert "no voxel is disputed" in text
    assert text.count("-") == 4


def test_a_label_volume_has_thresholds_and_losses() -> None:
    text = " ".join(text_of(volume_table(PALETTE, 10.0, VOLUME)).split())
    assert "1 M microtubule 0.25 1,234,567 1,234,567" in text
    assert "2 lost 345 in all to 1" in text
