"""Jobs in a Slurm whose commands print banners; stubs of its commands run the script immediately."""

import os
from pathlib import Path

import pytest
from helpers.cli_runner import Tomoseg

from tomoseg_tui.project.catalog import Project

MERGE = ("merge", "tubes", "--map", "one=0.5")
BANNER = "--------------------\\n     Welcome to the cluster\\n--------------------\\n\\n--> submit host...OK\\n"
SCRIPTS = {
    "sbatch": r"""
out=$(printf '%s\n' "$@" | sed -n 's/^--output=//p'); for script in "$@"; do :; done
( SLURM_JOB_ID=4711 sh "$script" >> "$out" 2>&1 < /dev/null & echo $! > {folder}/pid )
printf -- "{answer}"
""",
    "squeue": r"""
kill -0 $(cat {folder}/pid) 2>/dev/null && state=RUNNING || state=COMPLETED
printf '\nWelcome|to|the|cluster\n4711|%s|gpu|node1|None\n' $state
""",
    "sacct": "printf 'Welcome\\n\\n'",
    "scancel": "echo Welcome",
}


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a folder first in PATH; `install` fills it."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder


def install(folder: Path, answer: str) -> None:
    """Write the commands; sbatch answers with a format of printf."""
    for name, script in SCRIPTS.items():
        (folder / name).write_text(f"#!/bin/sh\n{script.format(folder=folder, answer=answer)}")
        (folder / name).chmod(0o755)


def test_a_job_ends_as_done_with_banners_in_slurms_output(
    one_map: Path, tomoseg: Tomoseg, tubes_project: Project, stand_ins: Path
) -> None:
    install(stand_ins, f"{BANNER}4711;slaking\\n")
    done = tomoseg(*MERGE, "--slurm", "partition=gpu", "--wait")
    assert "Submitted as Slurm's job 4711." in done.err
    assert tomoseg("jobs", "show", "1", "--json").json["slurm"] == "4711"
    assert tubes_project.layout.label_file("tubes", "merged").exists()


def test_an_answer_without_an_id_creates_no_job(
    one_map: Path, tomoseg: Tomoseg, tubes_project: Project, stand_ins: Path
) -> None:
    install(stand_ins, BANNER)
    assert "did not print the id of the job: “--> submit host...OK”" in tomoseg(*MERGE, "--slurm", "", code=2).err
    assert tomoseg("jobs", "--json").json == []
