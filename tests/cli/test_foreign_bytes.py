"""Names, locales and text of others: bytes that are not UTF-8, control characters, markup."""

import io
import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

import pytest
from helpers.cli_runner import Run, Tomoseg, digest_of
from helpers.run_project import put_job

from tomoseg_tui.cli import wait_for_jobs
from tomoseg_tui.files.text import HarmlessStream, unfiltered
from tomoseg_tui.jobs.job import log_line
from tomoseg_tui.project.catalog import Project

HOSTILE = "\x1b[2J\u202ee\x9b1m"


def not_utf8(path: Path, cell: Path) -> Path:
    """Copy a volume to a name with a Latin-1 letter; skip where the disk has no such names."""
    try:
        path.parent.mkdir(exist_ok=True)
        shutil.copy(cell, path)
    except OSError as fault:
        pytest.skip(f"this disk stores UTF-8 names only: {fault}")
    return path


@pytest.mark.parametrize("name", ["bad\udcff.mrc", "dir\udce9/cell.mrc"])
@pytest.mark.parametrize(
    "words", [("import",), ("import", "--link"), ("annotations", "import"), ("tiles", "import"), ("evaluate", "cell")]
)
def test_a_name_that_is_not_utf8_is_refused_by_every_command(
    refused: Callable[..., str], cell: Path, tmp_path: Path, name: str, words: tuple[str, ...]
) -> None:
    said = refused(*words, not_utf8(tmp_path / name, cell))
    assert "has bytes that are not UTF-8" in said
    assert "Rename it" in said
    assert "\\xff" in said or "\\xe9" in said


def test_from_a_folder_that_is_not_utf8_commands_work_and_the_history_is_written(
    project: Project, cell: Path, tmp_path: Path
) -> None:
    folder = not_utf8(tmp_path / "dir\udce9" / "cell.mrc", cell).parent
    tomoseg = Tomoseg(folder)
    root = project.layout.root
    tomoseg("-p", root, "import", "cell.mrc")
    entry = json.loads(project.layout.history.read_text(encoding="utf-8").splitlines()[-1])
    assert entry["in"] == "../dir\udce9"
    before = digest_of(root)
    for words in (("-p", str(root), "import", "cell.mrc", "--name", "two", "--link"), ("init", "p")):
        assert "Rename it" in tomoseg(*words, code=2).err
    assert digest_of(root) == before
    assert not (folder / "p").exists()


@pytest.fixture(scope="module")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with locales that are not UTF-8."""
    folder = tmp_path_factory.mktemp("locales")
    for language, charset in (("en_US", "ISO-8859-1"), ("ja_JP", "EUC-JP")):
        command = ["localedef", "-i", language, "-f", charset, str(folder / f"{language}.{charset}")]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("localedef or its sources are missing")
    return folder


@pytest.mark.parametrize("locale", ["en_US.ISO-8859-1", "ja_JP.EUC-JP"])
def test_in_any_locale_commands_print_utf8(
    project: Project, cell: Path, tmp_path: Path, locales: Path, locale: str
) -> None:
    copy = shutil.copy(cell, tmp_path / "zelle_ä.mrc")
    env = {**os.environ, "LOCPATH": str(locales), "LC_ALL": locale, "LANG": locale}
    env.pop("PYTHONUTF8", None)
    command = [sys.executable, "-m", "tomoseg_tui", "-p", str(project.layout.root)]
    done = subprocess.run([*command, "import", copy, "--name", "cell"], env=env, capture_output=True, check=True)
    assert "10 Å/voxel" in done.stderr.decode()
    listed = subprocess.run([*command, "tomograms", "--json"], env=env, capture_output=True, check=True)
    assert json.loads(listed.stdout.decode())[0]["made_from"] == "zelle_ä.mrc"
    assert "zelle_ä.mrc" in project.layout.history.read_text(encoding="utf-8")


def test_text_of_others_is_harmless_on_both_streams(project: Project, door: Callable[..., Run]) -> None:
    job = put_job(
        project, "merge", f"cell/{HOSTILE}\nx", state="failed", fault=f"torn {HOSTILE}", fix="sew", exit_code=2
    )
    job.log_file.write_text(f"{log_line(HOSTILE)}\n", encoding="utf-8")
    job.tensorflow_log_file.write_bytes(f"{HOSTILE}\n".encode() + b"\xff\n")
    for words in (("jobs",), ("jobs", "show", "1"), ("jobs", "log", "1"), ("jobs", "--json")):
        done = door(*words)
        for character in "\x1b\x9b\u202e":
            assert character not in done.out + done.err, words
    assert "\\x1b[2J\\u202ee\\x9b1m\\nx" in door("jobs").out
    assert door("jobs", "--json").json[0]["name"] == f"cell/{HOSTILE}\nx"
    assert HOSTILE not in door("import", f"{HOSTILE}.mrc", code=2).err


def test_our_own_escape_sequences_pass() -> None:
    stream = io.StringIO()
    harmless = HarmlessStream(stream)
    print("\x1b[1m\tx", file=harmless)
    print("\x1b[1m", end="", file=unfiltered(cast("TextIO", harmless)))
    assert stream.getvalue() == "\\x1b[1m\tx\n\x1b[1m"


@pytest.mark.parametrize("text", ["[tilt=30,dose=3]", "a[/b]", "[red]x[/red]", "\x1b]0;x\x07"])
def test_names_and_log_lines_are_no_markup_while_a_job_is_waited_for(
    project: Project, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    job = put_job(project, "merge", f"cell/{text}")
    job.log_file.write_text(f"{log_line(f'Writes {text}.')}\n", encoding="utf-8")
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    assert wait_for_jobs.wait_for_job(Namespace(json=False), job) == 0
    shown = text.replace("\x1b", "\\x1b").replace("\x07", "\\x07")
    assert f"Writes {shown}." in screen.getvalue()
    assert f"merge cell/{shown}" in screen.getvalue()
