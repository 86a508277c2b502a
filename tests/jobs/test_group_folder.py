"""A project in the folder of a group: all members can change every file."""

import contextlib
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from helpers.job_project import SHAPE_ZYX, make_map, tubes, write_volume
from helpers.paint_project import disc

from tomoseg_tui.cli.main import run
from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.paint_session import PaintSession


@pytest.mark.slow
def test_all_files_have_the_group_of_the_folder_and_the_mode_of_the_umask(tmp_path: Path) -> None:
    lab, before = tmp_path / "lab", os.umask(0o002)
    lab.mkdir()
    with contextlib.suppress(PermissionError):  # only root may choose any group
        os.chown(lab, -1, 65534)
    lab.chmod(0o2775)
    densities, root = write_volume(tmp_path / "a.mrc", tubes()[0]), lab / "project"

    def tomoseg(*argv: object) -> None:
        assert run(["-p", str(root), *map(str, argv)]) == 0

    try:
        assert run(["init", str(root)]) == 0
        tomoseg("import", densities, "--name", "tubes", "--polarity", "bright")
        tomoseg("tiles", "add", "tubes", "--at", "80,80,12", "--feature", "tube")
        project = Project.open(root)
        with PaintSession.open(project, TileLocation("tubes", 12, 80, 80)) as painting:
            painting.stroke("tube", disc(), FEATURE, "brush")
            painting.mark_done("tube")
            painting.save()
        tomoseg("trainset", "build", "set", "--feature", "tube")
        make_map(project.layout, np.full(SHAPE_ZYX, 100, np.int8), run="one")
        tomoseg("merge", "tubes", "--map", "one:tube=0.4", "--wait")
    finally:
        os.umask(before)
    files = list(root.rglob("*"))
    assert {path.suffix for path in files} >= {".json", ".jsonl", ".log", ".mrc", ".h5", ".npy", ".toml"}
    for path in [root, *files]:
        status = path.lstat()
        expected = 0o2775 if path.is_dir() else 0o664
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (expected, lab.stat().st_gid), path
