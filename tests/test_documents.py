"""What README and guide show is there: links, files, make targets, and commands that the parser understands."""

import re
import shlex
from pathlib import Path

import pytest

from tomoseg_tui.cli.parser import parse

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "tomoseg_tui" / "guide"
RESULTS = ROOT / "tests" / "bench" / "RESULTS.md"
PAGES = [ROOT / "README.md", *sorted(GUIDE.glob("*.md"))]
DOCUMENTS = [*PAGES, RESULTS]
SOURCES = [
    file.relative_to(ROOT).as_posix() for folder in ("tomoseg_tui", "tests") for file in (ROOT / folder).rglob("*")
]

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")


def name_of(page: Path) -> str:
    return page.name


def code_words(page: Path) -> list[str]:
    """Return what stands in code style outside of blocks."""
    return CODE.findall(FENCE.sub("", page.read_text()))


def block_lines(page: Path) -> list[str]:
    """Return the lines of the blocks."""
    return [line for block in FENCE.findall(page.read_text()) for line in block.splitlines()[1:-1]]


def commands(page: Path) -> list[list[str]]:
    """Return the arguments of each command of tomoseg that a page shows; a command that is only named gets --help."""
    shown = [part for line in block_lines(page) for part in re.split(r" && | > ", line)]
    named = [
        f"{words} --help" if re.fullmatch(r"tomoseg [a-z]+( [a-z]+)?", words) else words for words in code_words(page)
    ]
    return [shlex.split(words, comments=True)[1:] for words in [*shown, *named] if re.match(r"tomoseg( |$)", words)]


@pytest.mark.parametrize("page", DOCUMENTS, ids=name_of)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = [link.partition("#")[0] for link in LINK.findall(page.read_text()) if not re.match(r"[a-z]+:", link)]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_is_understood(page: Path) -> None:
    ends = []
    for words in commands(page):
        try:
            parse(words)
        except SystemExit as end:  # --help and the like print and end
            ends.append(end.code)
    assert set(ends) <= {0}


@pytest.mark.parametrize("page", DOCUMENTS, ids=name_of)
def test_every_file_and_folder_of_the_code_is_there(page: Path) -> None:
    named = [word for word in code_words(page) if re.fullmatch(r"[\w/]+(\.py|\.tcss|/)", word) and "/" in word[:-1]]
    missing = [word for word in named if not any(f"/{word.strip('/')}/" in f"/{source}/" for source in SOURCES)]
    assert missing == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=name_of)
def test_every_test_is_there(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`: `(test_\w+)`", page.read_text())
    assert [name for file, name in named if f"def {name}(" not in (ROOT / file).read_text()] == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=name_of)
def test_every_make_target_is_there(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shown = [word.split()[1] for word in [*block_lines(page), *code_words(page)] if word.startswith("make ")]
    assert set(shown) <= set(targets)


def test_the_readme_leads_to_every_page_of_the_guide() -> None:
    links = LINK.findall((ROOT / "README.md").read_text())
    assert {page.relative_to(ROOT).as_posix() for page in PAGES[1:]} <= set(links)


def test_the_readme_can_be_read_in_ten_minutes() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 200
