"""Jobs without a network, scores and exports; jobs run in real processes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import Run, Tomoseg, digest_of, make_card, noise, put_card, write_map, write_mrc

from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.project.catalog import Project

Door = Callable[..., Run]


@pytest.mark.slow
def test_preprocess_makes_versions_as_a_job(tomoseg: Tomoseg, with_cell: Project) -> None:
    done = tomoseg("preprocess", "cell", "--bin", 2, "--wait", "--json")
    assert done.json == {"tomograms": ["cell__bin2_preproc"]}
    assert "New versions: cell__bin2_preproc." in done.err
    rows = {row["name"]: row for row in tomoseg("tomograms", "--json").json}
    made = rows["cell__bin2_preproc"]
    assert (made["voxel_size_angstrom"], made["shape_zyx"], made["made_from"]) == (20.0, [4, 64, 64], "cell")
    assert made["preprocessing"] == [{"lowpass": 0.25, "highpass": 5.0, "clamp": 3.0}]
    assert made["origin_angstrom"] == rows["cell"]["origin_angstrom"]
    (job,) = tomoseg("jobs", "--json").json
    assert (job["kind"], job["state"], job["progress"]) == ("preprocess", "done", 1.0)
    contract = "id kind name state pid host progress created started ended peak_memory_bytes eta_seconds fault fix"
    assert set(contract.split()) <= set(job)
    assert "The name cell__bin2_preproc is taken" in tomoseg.refused("preprocess", "cell", "--bin", 2)
    assert "already done" in tomoseg("jobs", "resume", job["id"]).err


@pytest.mark.slow
def test_without_wait_the_id_is_printed(tomoseg: Tomoseg, with_cell: Project) -> None:
    job = tomoseg("preprocess", "cell", "--bin", 2, "--no-filter", "--json").json["job"]
    other = tomoseg("preprocess", "cell", "--tag", "soft").out.strip()
    assert sorted([job, other]) == ["1", "2"]
    for number in (job, other):
        while tomoseg("jobs", "show", number, "--json").json["state"] in {"queued", "running"}:
            pass
    assert {row["state"] for row in tomoseg("jobs", "list", "--json").json} == {"done"}
    assert "Done." in tomoseg("jobs", "log", other).out
    assert {row["name"] for row in tomoseg("tomograms", "--json").json} == {"cell", "cell__bin2", "cell__soft"}


def test_merge_prints_its_result_and_evaluate_scores_it(tomoseg: Tomoseg, door: Door, with_cell: Project) -> None:
    tube, wall = np.zeros((8, 128, 128), np.int8), np.zeros((8, 128, 128), np.int8)
    tube[:, :64], wall[:, 32:96] = 100, 120
    write_map(with_cell, "run.tube", tube)
    write_map(with_cell, "run.wall", wall)
    arguments = ("merge", "cell", "--map", "run:tube=0.5", "--map", "run:wall=card", "--wait", "--json")
    done = tomoseg(*arguments, "-o", "copy.mrc").json
    root = with_cell.layout.root
    assert done == {
        "file": str(root / "copy.mrc"),
        "labels": {
            "1": {"feature": "tube", "run": "run", "threshold": 0.5, "voxels": 8 * 32 * 128},
            "2": {"feature": "wall", "run": "run", "threshold": 0.5, "voxels": 8 * 64 * 128},
        },
        "conflicts": [{"winner": 2, "loser": 1, "voxels": 8 * 32 * 128}],
    }
    assert tomoseg(*arguments).json["file"] == str(root / "labels" / "cell" / "merged.mrc")
    for path in root.rglob("*.json*"):
        assert str(root) not in path.read_text(), path
    scores = door("evaluate", "cell/merged", "copy.mrc", "--label", 1, "--label", 2, "--json").json
    perfect = {"dice": 1.0, "iou": 1.0, "precision": 1.0, "recall": 1.0}
    assert scores == {"labels": {"1": perfect, "2": perfect}}
    map_scores = door("evaluate", "cell/run.tube", "cell/merged", "--label", 1, "--threshold", 0.5, "--json").json
    assert map_scores["labels"]["1"]["precision"] == 0.5
    assert door("evaluate", "cell/run.tube", "cell/merged", "--label", 1).out.split()[-4:] == [
        "0.6667", "0.5000", "0.5000", "1.0000",
    ]  # fmt: skip
    seen = door("show", "cell/merged", "--json").json
    assert {label: entry["name"] for label, entry in seen["labels"].items()} == {"1": "tube", "2": "wall"}
    assert door("tomograms", "--json").json[0]["maps"] == 2


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("merge", "lost", "--map", "run=0.5"), "no tomogram 'lost'"),
        (("merge", "cell"), "required: --map"),
        (("merge", "cell", "--map", "run"), "is not understood"),
        (("merge", "cell", "--map", "run=2"), "is not a threshold"),
        (("merge", "cell", "--map", "run=card", "-o", "project.toml"), "not the name of an MRC file"),
        (("apply", "run", "lost"), "no tomogram 'lost'"),
        (("apply", "run", "cell", "--feature", "x"), "has no feature x"),
        (("apply", "run", "cell", "--z", "5:3"), "--z 5:3 does not fit"),
        (("apply", "run", "cell", "--workers", "0"), "'0' is not a whole number from 1"),
        (("apply", "run", "cell", "--device", "tpu"), "tpu"),
        (("evaluate", "cell", "cell"), "required: --label"),
        (("evaluate", "cell", "lost", "--label", "1"), "or file 'lost'"),
        (("evaluate", "cell", "cell", "--label", "one"), "--label"),
        (("export", "cell", "-o", "cell.png"), "ends in .png"),
        (("export", "lost", "-o", "x.mrc"), "or file 'lost'"),
        (("export", "cell", "-o", "project.toml"), "ends in .toml"),
        (("show", "cell", "--labels", "lost"), "or file 'lost'"),
        (("show", "cell", "--z", "8"), "There is no slice 8"),
        (("tomograms", "rename", "cell", "../x"), "cannot be the name"),
        (("tomograms", "remove", "lost"), "no tomogram 'lost'"),
        (("init", "."), "is already a project"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    refused: Callable[..., str], with_cell: Project, arguments: tuple[str, ...], output: str
) -> None:
    put_card(with_cell, make_card())
    write_map(with_cell, "run.tube", noise((8, 128, 128)) & 127)
    assert output in refused(*arguments)


def test_an_export_is_written_to_the_given_path(door: Door, refused: Callable[..., str], with_cell: Project) -> None:
    done = door("export", "cell", "-o", "out.tif")
    assert not done.out
    assert "Wrote cell to out.tif." in done.err
    assert "--force" in refused("export", "cell", "-o", "out.tif")
    door("export", "cell", "-o", "out.tif", "--force")
    with open_volume(with_cell.layout.root / "out.tif") as volume:
        np.testing.assert_array_equal(volume.read_slices(0, 8), noise((8, 128, 128)))
    assert "tomoseg export" not in with_cell.layout.history.read_text()


def test_a_network_is_listed_with_the_agreed_keys(door: Door, with_cell: Project) -> None:
    put_card(with_cell, make_card())
    (row,) = door("networks", "--json").json
    contract = (
        "name network voxel_size_angstrom polarity preprocessing features tiles learning_rate epochs seed from versions"
    )
    assert set(contract.split()) <= set(row)
    assert row["features"]["tube"] == {
        "threshold": 0.4, "dice": 0.8, "precision": 0.7, "recall": 0.9, "held_out_tiles": 1, "curve": [],
    }  # fmt: skip
    assert door("networks", "show", "run", "--json").json == row
    assert "threshold 0.400" in door("networks", "show", "run").out


def test_a_tomogram_is_listed_with_the_agreed_keys(door: Door, with_cell: Project) -> None:
    (row,) = door("tomograms", "--json").json
    assert {key: row[key] for key in ("name", "shape_zyx", "voxel_size_angstrom", "origin_angstrom", "polarity")} == {
        "name": "cell", "shape_zyx": [8, 128, 128], "voxel_size_angstrom": 10.0, "origin_angstrom": [100.0, -20.0, 5.0],
        "polarity": "dark",
    }  # fmt: skip
    assert (row["type"], row["tiles"], row["maps"]) == ("MRC mode 0, signed bytes", 0, 0)
    assert Path(row["path"]).is_file()
    assert row["imported"].endswith("Z")


def test_commands_that_only_read_change_nothing(door: Door, with_cell: Project) -> None:
    put_card(with_cell, make_card())
    write_map(with_cell, "run.tube", noise((8, 128, 128)) & 127)
    door("tiles", "add", "cell", "--at", "64,64,4", "--feature", "tube")
    before = digest_of(with_cell.layout.root)
    for arguments in ("tomograms", "tiles list", "annotations list", "features", "networks", "networks show run",
                  "trainset list", "jobs", "show cell", "show cell --labels cell/run.tube", "tiles show cell:64,64,4",
                  "evaluate cell/run.tube cell --label 1"):  # fmt: skip
        for extra in ((), ("--json",)):
            out = door(*arguments.split(), *extra).out
            assert not extra or json.loads(out) is not None
    assert digest_of(with_cell.layout.root) == before


def test_a_file_outside_a_project_can_be_scored_and_exported(tmp_path: Path) -> None:
    outside = Tomoseg(tmp_path)
    write_mrc(tmp_path / "labels.mrc", (noise() > 0).astype(np.int8))
    assert outside("evaluate", "labels.mrc", "labels.mrc", "--label", 1, "--json").json["labels"]["1"]["dice"] == 1.0
    outside("export", "labels.mrc", "-o", "labels.hdf")
