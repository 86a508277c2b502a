"""What others wrote is shown as it is: brackets, control characters, bytes that are not UTF-8."""

import os
import sys
from pathlib import Path

import pytest
from helpers.cli_runner import noise, write_mrc
from helpers.pilot import MakeApp, open_tab, until, words_on
from helpers.pseudo_terminal import Terminal
from helpers.run_project import put_job
from rich.console import Console
from rich.segment import Segment
from textual.content import Content
from textual.drivers import linux_driver
from textual.strip import Strip

from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.canvas.terminal_query import parse_answers
from tomoseg_tui.tui.foreign_text import show_foreign_text_literally
from tomoseg_tui.tui.importing.add_files_dialog import AddFilesDialog
from tomoseg_tui.tui.widgets.file_tree import FileTree


@pytest.mark.parametrize("name", ["[tilt=30,dose=3]", "a[/b]", "a[", "a[b]c", "[@click=app.quit]x"])
async def test_files_are_added_from_a_folder_with_brackets(
    project: Project, make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    write_mrc(folder / "[bold]c.mrc", noise((8, 64, 64)))
    app = make_app(project)
    async with app.run_test(size=(160, 40)) as pilot:
        await open_tab(pilot, 1)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, AddFilesDialog))
        await until(pilot, lambda: "[bold]c.mrc" in words_on(pilot))
        app.screen.query_one(FileTree).focus()
        await pilot.press("j", "enter")
        await until(pilot, lambda: "1 to import" in words_on(pilot))


async def test_a_job_with_a_hostile_name_is_listed(project: Project, make_app: MakeApp) -> None:
    put_job(project, "merge", "cell/[/b]\x1b[2Jx", state="failed", fault="torn [/i]\x9b", fix="sew", exit_code=2)
    app = make_app(project)
    async with app.run_test(size=(160, 40)) as pilot:
        await open_tab(pilot, 7)
        await until(pilot, lambda: "torn [/i]" in words_on(pilot))
        console, screen = Console(color_system="truecolor"), app.screen
        sent = "".join(strip.render(console) for strip in screen._compositor.render_strips(screen.size))
    assert "cell/[/b]" in sent
    assert "\x1b[2J" not in sent
    assert "\x9b" not in sent


@pytest.fixture
def literally() -> None:
    show_foreign_text_literally()


@pytest.mark.usefixtures("literally")
def test_only_our_own_bold_is_markup() -> None:
    content = Content.from_markup("Press [b]1[/b], [b]2[/b] [i]a[/i] [/b] [b]")
    assert content.plain == "Press 1, 2 [i]a[/i] [/b] [b]"
    assert [(span.start, span.end, span.style) for span in content.spans] == [(6, 7, "bold"), (9, 10, "bold")]
    assert Content.from_markup(content) is content


@pytest.mark.usefixtures("literally")
@pytest.mark.parametrize(
    ("text", "sent"), [("a\x1b[2Jb", "a[2Jb"), ("x\u202ey\x9bz", "xyz"), ("e\udce9", "e?"), ("10 Å 細", "10 Å 細")]
)
def test_a_line_is_sent_without_control_characters_and_keeps_its_width(text: str, sent: str) -> None:
    strip = Strip([Segment(text)])
    assert strip.render(Console()) == sent
    assert Strip([Segment(sent)]).cell_length == strip.cell_length


@pytest.mark.usefixtures("literally")
def test_a_byte_that_is_not_utf8_is_a_key_that_means_nothing() -> None:
    decode = linux_driver.getincrementaldecoder("utf-8")().decode  # type: ignore[attr-defined]
    assert decode(b"\xe9a\xc3") + decode(b"\xa9") + decode(b"\xff", final=True) == "\ufffdaé\ufffd"


@pytest.mark.parametrize(
    ("answer", "is_utf8"), [("", True), ("\x1b[4;2R", True), ("\x1b[4;3R", False), ("\x1b[12;1R\x1b[?62c", False)]
)
def test_a_terminal_of_another_encoding_is_recognised_by_the_width_of_a_letter(answer: str, *, is_utf8: bool) -> None:
    assert parse_answers(answer).is_utf8 is is_utf8


@pytest.mark.slow
def test_bytes_of_latin1_typed_and_pasted_do_not_end_the_program(project: Project) -> None:
    command = [sys.executable, "-m", "tomoseg_tui", "-p", str(project.layout.root)]
    with Terminal(command, size=(100, 30)) as terminal:
        terminal.wait_for(lambda output: b"Add files" in output)
        for sent in (b"\xe9", b"\x1b[200~/data/\xe9t\xe9\x1b[201~", b"i", b"\xff/x\xe9", b"\x1b[200~\xe9\x1b[201~"):
            os.write(terminal._master, sent)
            terminal.wait_until_quiet()
        assert terminal.process.poll() is None
        assert "/x" in terminal.screen().text
