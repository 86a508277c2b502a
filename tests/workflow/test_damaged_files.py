"""A damaged file of the project costs that one thing, is named with the way back, and is never a bug."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import make_card, noise, put_card, write_map
from helpers.paint_project import painted

from tomoseg_tui.cli.main import run
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.tui.state.snapshot import read_snapshot
from tomoseg_tui.workflow.annotations.import_annotations import set_done
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.training.trainset import TrainsetRequest, build_trainset

PLACES = tuple(TileLocation("cell", 4, 64, x) for x in (40, 80))
NESTED = b"[" * 100_000
LISTINGS = ("tomograms", "tiles list", "annotations list", "features", "trainset list", "networks", "jobs", "audits")


def array(shape: tuple[int, ...], dtype: str = "u1") -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(shape, dtype))
    return stream.getvalue()


@pytest.fixture
def used(cell: Project) -> Project:
    place_tiles(cell, [tile_placement(place, "tube", negative=False) for place in PLACES])
    for place in PLACES:
        painted(cell, ("tube", 32, 2), place=place)
        set_done(cell, place, "tube")
    build_trainset(cell, "set", TrainsetRequest(("tube",)))
    put_card(cell, make_card("run"))
    write_map(cell, "run.tube", noise((8, 128, 128)) & 127)
    return Project.open(cell.layout.root)


def run_all(project: Project, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[int, str, str]]:
    answers = {}
    for words in LISTINGS:
        code = run(["-p", str(project.layout.root), *words.split(), "--json"])
        out, err = capsys.readouterr()
        answers[words] = code, out, err
    return answers


FILES: dict[str, Callable[[Project], Path]] = {
    "tomogram": lambda project: project.layout.tomogram_record("cell"),
    "state": lambda project: project.layout.tile_state(PLACES[0], "tube"),
    "layer": lambda project: project.layout.annotation(PLACES[0], "tube"),
    "log": lambda project: project.layout.stroke_log(PLACES[0]),
    "card": lambda project: project.layout.network_card("run"),
    "trainset": lambda project: project.layout.trainset("set"),
    "sidecar": lambda project: sidecar_of(project.layout.map_file("cell", "run", "tube")),
    "history": lambda project: project.layout.history,
}
CONTENTS = {
    "empty": b"",
    "nested": NESTED,
    "inner": b'{"x":' + NESTED,
    "object": NESTED.replace(b"[", b'{"a":'),
    "types": b'{"state": 3, "name": [], "shape_zyx": "x"}',
    "digits": b'{"shape_zyx": [' + b"9" * 5000 + b"]}",
    "bytes": b"\xff\xfe\x00",
    "shape": array((3, 3)),
    "kind": array((64, 64), "f8"),
    "header": b"\x93NUMPY\x01\x00v\x00{'descr': ('|u1', 'fortran_order': False, 'shape': (64, 64), }" + b" " * 50,
    "short": array((64, 64))[:-7],
}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_the_rest_is_listed(
    used: Project, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path, whole = FILES[name](used), run_all(used, capsys)
    for content in CONTENTS.values():
        path.write_bytes(content)
        for words, (code, out, err) in run_all(used, capsys).items():
            assert code in {0, 2}, err
            assert code == 0 or path.name in err, err
            if code == 0:
                assert out == whole[words][1] or name in {"log", "history", "layer"}
        snapshot = read_snapshot(used)
        in_snapshot = name in {"tomogram", "state", "card", "sidecar"}
        assert [path.name in fault.fault for fault in snapshot.damage] == [True] * in_snapshot
        assert len(snapshot.tomograms) == (name != "tomogram")
        assert len(snapshot.networks) == (name != "card")


def test_a_damaged_state_leaves_the_other_tile_in_the_list(used: Project, capsys: pytest.CaptureFixture[str]) -> None:
    FILES["state"](used).write_bytes(NESTED)
    code, out, err = run_all(used, capsys)["tiles list"]
    assert code == 2
    assert PLACES[1].id in out
    assert PLACES[0].id not in out
    assert "cannot be read" in err


def test_damaged_settings_are_one_sentence(used: Project, capsys: pytest.CaptureFixture[str]) -> None:
    for content in (b"a = " + NESTED, b"\xff", b"format = " + b"9" * 5000, b"format = 'x'"):
        used.layout.settings.write_bytes(content)
        for code, _, err in run_all(used, capsys).values():
            assert code == 2
            assert "project.toml" in err
