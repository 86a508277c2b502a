"""Every command has an equivalent key, which the help lists."""

import argparse
import pkgutil
from importlib import import_module

import pytest
from textual.binding import Binding

import tomoseg_tui.tui
from tomoseg_tui.cli.parser import build_parser
from tomoseg_tui.tui.app import TABS
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.importing.add_files_dialog import AddFilesDialog
from tomoseg_tui.tui.jobs.jobs_tab import JobTable
from tomoseg_tui.tui.train.train_tab import RunTable

KEYS = {
    "features add": "tiles.features",
    "features rename": "tiles.rename",
    "import": "import.add",
    "preprocess": "import.filter",
    "tomograms rename": "import.rename",
    "tomograms remove": "import.remove",
    "tomograms refresh": "import.refresh",
    "show": "slice.picture",
    "export": "files.export",
    "tiles add": "tiles.place",
    "tiles import": "tiles.import",
    "tiles show": "tiles.next",
    "tiles remove": "tiles.remove",
    "annotations export": "annotate.export",
    "annotations import": "annotate.import",
    "annotations set": "annotate.done",
    "trainset build": "train.build_set",
    "trainset show": "train.sets",
    "train": "train.train",
    "networks show": "train.card",
    "networks triples": "train.export",
    "audit": "train.audit",
    "audits show": "train.audit",
    "run": "train.run",
    "apply": "apply.start",
    "merge": "merge.write",
    "evaluate": "files.evaluate",
    "jobs show": "jobs.open",
    "jobs log": "jobs.open",
    "jobs stop": "jobs.stop",
    "jobs resume": "jobs.resume",
    "jobs kill": "jobs.kill",
}
"""The action of each command; the tabs replace listing commands."""
ELSEWHERE = {
    "init": "a folder without a project is offered to become one",
    "demo": "runs the commands",
}


def commands() -> set[str]:
    """Return the commands except those that list."""
    parser, _ = build_parser()
    found = set()
    for name, verb in _verbs(parser).items():
        inner = set(_verbs(verb))
        found |= {f"{name} {subcommand}" for subcommand in inner - {"list"}} if inner else {name}
    return found


def _verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    kinds = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return next((dict(kind.choices) for kind in kinds), {})


def tab_classes() -> dict[str, type]:
    """Return the class of each tab by its id."""
    return {key: getattr(import_module(f"tomoseg_tui.tui.{module}"), name) for key, (_, module, name) in TABS.items()}


def actions() -> dict[str, str]:
    """Return the description of every action by its id."""
    found = {}
    for owner in (*tab_classes().values(), SliceCanvas, RunTable, JobTable, AddFilesDialog):
        for ancestor in owner.__mro__:
            for binding in ancestor.__dict__.get("BINDINGS", ()):
                if isinstance(binding, Binding) and binding.id:
                    found[binding.id] = binding.tooltip or binding.description
    return found


def test_every_command_has_its_action() -> None:
    assert commands() - set(KEYS) - set(ELSEWHERE) == set()


@pytest.mark.parametrize("command", KEYS)
def test_the_action_of_a_command_exists_and_has_a_description(command: str) -> None:
    assert command in commands()
    assert actions().get(KEYS[command])


@pytest.mark.parametrize("tab", TABS)
def test_every_key_of_a_tab_is_in_its_own_list(tab: str) -> None:
    tab_class = tab_classes()[tab]
    inherited = [ancestor.__name__ for ancestor in tab_class.__mro__[1:] if "BINDINGS" in ancestor.__dict__]
    assert not set(inherited) - {"Widget", "DOMNode"}
    assert all(binding.id and binding.tooltip for binding in tab_class.__dict__["BINDINGS"])


def test_every_key_has_an_action_of_its_own_class() -> None:
    """A key without its action does nothing, without any error."""
    missing = []
    for module in pkgutil.walk_packages(tomoseg_tui.tui.__path__, "tomoseg_tui.tui."):
        for owner in vars(import_module(module.name)).values():
            if isinstance(owner, type) and owner.__module__ == module.name:
                bindings = [key for key in owner.__dict__.get("BINDINGS", ()) if isinstance(key, Binding)]
                names = [key.action.partition("(")[0] for key in bindings if not key.action.startswith("app.")]
                missing += [f"{owner.__name__}.{name}" for name in names if not hasattr(owner, f"action_{name}")]
    assert missing == []
