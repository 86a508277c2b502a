"""Names of the package are plain: one meaning a class, and no word that a newcomer must decode."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import tomoseg_tui

PACKAGE = Path(tomoseg_tui.__file__).parent
FORBIDDEN = frozenset(
    re.findall(
        r"\w+",
        """
    adviser anew asked brought bring bury cook corpse desk doubt doubts eman easel facts foretell foretold heard honest
    judge judged judgement judging keep keeper kept lend lending lent lesson loan look looked looks mend mends news
    opinion pace paced paces pacing price prices promised recipe room rooms said says seen sheet sight suspicion
    sweep take takes taken taught teach teaches teaching tell told took unkept way wish wishes words
        """,
    )
)
"""Words of an earlier vocabulary; each has a standard term, see `guide/contributing.md`."""
ON_DISK = {
    ("jobs/job.py", "asked"),
    ("project/records.py", "suspicion"),
    ("project/timings.py", "judging_seconds"),
    ("workflow/apply/output.py", "kept"),
    ("workflow/merge/merge_request.py", "words"),
    ("tui/canvas/frame_pacing.py", "frame_pacing"),
}
"""Keys of files that older versions wrote, and the field's own term for the times of frames."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def names_in(tree: ast.Module) -> Iterator[str]:
    """Every name that a module defines: classes, functions, parameters, variables, attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def words_of(name: str) -> set[str]:
    """``SlurmJobStatus`` and ``slurm_job_status`` both give slurm, job and status."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return set(spaced.lower().split("_"))


def test_no_two_modules_define_the_same_public_class() -> None:
    found = Counter(
        node.name
        for _, tree in modules()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in found.items() if count > 1] == []


def test_no_name_has_a_word_that_must_be_decoded() -> None:
    found = {
        (module, name)
        for module, tree in modules()
        for name in (*names_in(tree), *Path(module).with_suffix("").parts)
        if words_of(name) & FORBIDDEN
    }
    assert sorted(found - ON_DISK) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("read_asked_features", {"read", "asked", "features"}),
        ("TaskLook", {"task", "look"}),
        ("_EMAN2_NETWORK", {"", "eman2", "network"}),
    ],
)
def test_names_are_split_into_words(name: str, words: set[str]) -> None:
    assert words_of(name) == words


def test_every_test_file_has_a_name_of_its_own() -> None:
    """Pytest imports a test file by its name alone."""
    files = Counter(file.name for file in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name, count in files.items() if count > 1] == []
