"""Methods of the screen have a docstring, but for handlers."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import tomoseg_tui.tui

SCREEN = Path(tomoseg_tui.tui.__file__).parent
HANDLER = re.compile("compose|(action|on|watch)_.*")
"""Its name says when it runs; what a key does, the tooltip of its binding says."""


def public_methods() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in sorted(SCREEN.rglob("*.py")):
        for owner in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(owner, ast.ClassDef) and not owner.name.startswith("_"):
                for method in owner.body:
                    if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and not method.name.startswith("_"):
                        yield f"{path.relative_to(SCREEN)}: {owner.name}.{method.name}", method


def test_only_handlers_have_no_docstring() -> None:
    bare = [name for name, method in public_methods() if ast.get_docstring(method) is None]
    assert len(bare) > 100
    assert [name for name in bare if not HANDLER.fullmatch(name.rpartition(".")[2])] == []
