"""Random commands on a project, compared with a model in memory; many are killed at a random change of the disk.

    python tests/bench/random_commands.py [--seconds 60] [--seed 1] [--walks N]

A walk is a fresh project and `STEPS` commands, all drawn from one seed: `--seed N --walks 1` repeats a walk. After each
command every listing works and shows what the model holds: nothing that was reported as done is lost. A killed command
is done wholly or not at all. Said again it ends well, or is refused because it is done.
"""

import argparse
import copy
import csv
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.cli_runner import make_card, noise, put_card, wait_until, write_map, write_mrc
from helpers.faulty_process import FaultyRunner, Outcome, faulty_runner
from kill_commands import leftovers

from tomoseg_tui.project.catalog import Project

STEPS = 40
"""Commands of a walk."""
SHAPE_ZYX = (4, 96, 128)
TOMOGRAMS = tuple(f"cell_{number}" for number in range(4))
FEATURES = ("tube", "wall", "film", "knot")
LABEL_FILES = ("labels_0.mrc", "labels_1.mrc")
LISTINGS = ("tomograms", "tiles list", "annotations list", "features", "trainset list", "networks", "jobs")
SIZE = 64
FIRST_REACH = 30
"""A command is killed at one of so many changes of the disk, until its walk knows how many it makes."""


@dataclass
class Mark:
    """State of a feature on a tile."""

    state: str
    pixels: list[int] | None = None
    """Unseen, not, feature, ignore."""
    is_painted: bool = False
    is_from_file: bool = False
    """An import has set the state, so a later one may change it."""


Marks = dict[str, Mark]
Location = tuple[str, int, int, int]
"""Tomogram, z, y and x of a tile: its place in `tiles list`."""


@dataclass
class Model:
    """What the project must hold."""

    tomograms: set[str] = field(default_factory=set)
    features: list[str] = field(default_factory=list)
    tiles: dict[Location, Marks] = field(default_factory=dict)
    trainsets: dict[str, tuple[list[str], int]] = field(default_factory=dict)
    """Features and number of tiles."""
    maps: dict[str, dict[str, int]] = field(default_factory=dict)
    """Voxels above one half of each feature, by tomogram."""
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    """Voxels that are not 0, by tomogram and name."""
    network: list[str] = field(default_factory=list)
    """Features of the network."""
    renamed: int = 0
    """Number of renamed features: what was removed before cannot be put back."""

    def add_features(self, *names: str) -> None:
        """Add features that are new."""
        self.features += [name for name in dict.fromkeys(names) if name not in self.features]

    def state(self, place: Location, feature: str) -> str | None:
        """Return the state of a feature on a tile."""
        marks = self.tiles[place]
        mark = marks.get(feature) or marks.get("*")
        return mark.state if mark else None

    def listing(self) -> dict[str, Any]:
        """Return what the listings must show."""
        states = {name: [self.state(place, name) for place in self.tiles] for name in self.features}
        return {
            "tomograms": {
                name: [
                    sum(place[0] == name for place in self.tiles),
                    len(self.maps.get(name, {})),
                    len(self.labels.get(name, {})),
                ]
                for name in sorted(self.tomograms)
            },
            "features": {
                name: [sum(s in {"wanted", "annotated"} for s in found), found.count("none here")]
                for name, found in states.items()
            },
            "tiles": {
                tile_id(place): {feature: mark.state for feature, mark in sorted(self.tiles[place].items())}
                for place in sorted(self.tiles)
            },
            "annotations": {
                f"{tile_id(place)} {feature}": [mark.state, mark.pixels]
                for place in sorted(self.tiles)
                for feature, mark in sorted(self.tiles[place].items())
            },
            "trainsets": {name: [features, tiles] for name, (features, tiles) in sorted(self.trainsets.items())},
            "networks": sorted(self.network),
            "labels": {
                f"{tomogram}/{name}": voxels
                for tomogram in sorted(self.labels)
                for name, voxels in sorted(self.labels[tomogram].items())
            },
        }


class RefusedError(Exception):
    """The command must be refused."""


def require(condition: object) -> None:
    """Refuse the command unless a condition holds."""
    if not condition:
        raise RefusedError


def tile_id(place: Location) -> str:
    """Return the id of a tile."""
    return f"{place[0]}:{place[3]},{place[2]},{place[1]}:{SIZE}"


@dataclass
class Command:
    """A command, and what it does to the model."""

    argv: list[str]
    effect: Callable[[Model], None]
    """Changes a copy of the model, or raises RefusedError."""
    file: Path | None = None
    """The file of the user that it writes last; what exists of an export is written over only with --force."""


class Walk:
    """One project, and commands drawn from a seed."""

    def __init__(self, seed: int, template: Path, folder: Path, run: FaultyRunner) -> None:
        self._rng, self._folder, self._run = random.Random(seed), folder, run
        self._reach = Counter[str]()
        shutil.copytree(template, folder)
        self.project = folder / "project"
        self.model = template_model(template)
        self._number = 0
        self._put_back: Callable[[Model, Model], None] | None = None
        self._removed: list[tuple[Path, Model, Callable[[Model, Model], None]]] = []
        self._labels = {name: read_voxels(folder / name).reshape(SHAPE_ZYX) for name in LABEL_FILES}
        self.log: list[str] = []
        self.kills = self.commands = 0

    # Commands

    def draw(self) -> Command:
        """Draw a command; few of them must be refused."""
        weights = {
            self._tiles_add: 4, self._tiles_import: 4, self._annotations_import: 5, self._annotations_set: 4,
            self._tiles_remove: 2, self._import: 3, self._tomograms_rename: 2, self._tomograms_remove: 1,
            self._features_add: 1, self._features_rename: 2, self._trainset_build: 2, self._export: 1,
            self._annotations_export: 1, self._merge: 0.5, self._preprocess: 0.3,
        }  # fmt: skip
        return self._rng.choices(list(weights), list(weights.values()))[0]()

    def _tomogram(self) -> str:
        known = sorted(name for name in self.model.tomograms if "__" not in name)
        return self._rng.choice(known) if known and self._rng.random() < 0.95 else self._rng.choice(TOMOGRAMS)

    def _feature(self) -> str:
        known = self.model.features
        return self._rng.choice(known) if known and self._rng.random() < 0.9 else self._rng.choice(FEATURES)

    def _tile(self) -> Location:
        known = sorted(self.model.tiles)
        return self._rng.choice(known) if known and self._rng.random() < 0.97 else ("cell_0", 0, 1, 1)

    def _placement(self) -> tuple[Location, str, bool]:
        is_negative = self._rng.random() < 0.3
        feature = "*" if is_negative and self._rng.random() < 0.2 else self._feature()
        z, y, x = self._rng.randrange(4), self._rng.choice((20, 40, 60)), self._rng.choice((30, 50, 70, 90))
        return (self._tomogram(), z, y, x), feature, is_negative

    def _place(self, model: Model, placements: list[tuple[Location, str, bool]]) -> None:
        wanted: dict[tuple[Location, str], bool] = {}
        for place, feature, is_negative in placements:
            require(place[0] in model.tomograms)
            mark = model.tiles.get(place, {}).get(feature)
            require(mark is None or (mark.state == "none here") == is_negative)
            require(wanted.setdefault((place, feature), is_negative) == is_negative)
        model.add_features(*(feature for _, feature, _ in placements if feature != "*"))
        for (place, feature), is_negative in wanted.items():
            model.tiles.setdefault(place, {}).setdefault(feature, Mark("none here" if is_negative else "wanted"))

    def _tiles_add(self) -> Command:
        place, feature, is_negative = self._placement()
        tomogram, z, y, x = place
        argv = ["tiles", "add", tomogram, "--at", f"{x},{y},{z}", "--feature", feature]
        return Command(
            argv + ["--negative"] * is_negative, lambda model: self._place(model, [(place, feature, is_negative)])
        )

    def _tiles_import(self) -> Command:
        placements = [self._placement() for _ in range(self._rng.randint(1, 5))]
        path = self._new_file("csv")
        with path.open("w", encoding="utf-8", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(("tomogram", "x", "y", "z", "feature", "kind"))
            for (tomogram, z, y, x), feature, is_negative in placements:
                rows.writerow((tomogram, x, y, z, feature, "negative" if is_negative else "positive"))
        return Command(["tiles", "import", path.name], lambda model: self._place(model, placements))

    def _tiles_remove(self) -> Command:
        places = {self._tile() for _ in range(self._rng.randint(1, 3))}

        def effect(model: Model) -> None:
            for place in places:
                require(place in model.tiles)
                del model.tiles[place]

        def put_back(model: Model, before: Model) -> None:
            for place in places:
                require(place[0] in model.tomograms and place not in model.tiles)
                model.tiles[place] = before.tiles[place]

        command = Command(["tiles", "remove", *map(tile_id, sorted(places))], effect)
        self._put_back = put_back
        return command

    def _annotations_import(self) -> Command:
        name, tomogram = self._rng.choice(LABEL_FILES), self._tomogram()
        features = self._rng.sample(FEATURES, self._rng.randint(1, 2))
        does_replace = self._rng.random() < 0.5
        numbers = dict(zip(features, self._rng.sample((1, 2), 2), strict=False))
        argv = ["annotations", "import", name, "--tomogram", tomogram, "--flip", "none"]
        argv += [word for feature, number in numbers.items() for word in ("--map", f"{number}={feature}")]

        def effect(model: Model) -> None:
            places = sorted(place for place in model.tiles if place[0] == tomogram)
            require(tomogram in model.tomograms and places)
            model.add_features(*numbers)
            for place in places:
                for feature, number in numbers.items():
                    _import_mark(model, place, feature, self._crop(name, place, number), does_replace=does_replace)

        return Command(argv + ["--replace"] * does_replace, effect)

    def _crop(self, name: str, place: Location, number: int) -> list[int]:
        """Return the pixels that an import gives a tile."""
        _, z, y, x = place
        top, left = max(0, y - SIZE // 2), max(0, x - SIZE // 2)
        inside = self._labels[name][z, top : y + SIZE // 2, left : x + SIZE // 2]
        count = int((inside == number).sum())
        return [SIZE * SIZE - inside.size, inside.size - count, count, 0]

    def _annotations_set(self) -> Command:
        place, feature, is_done = self._tile(), self._feature(), self._rng.random() < 0.5

        def effect(model: Model) -> None:
            require(feature in model.features and place in model.tiles)
            marks, state = model.tiles[place], model.state(place, feature)
            if not is_done:
                marks[feature] = Mark("none here")
                return
            require(state != "none here")
            own = marks.get(feature)
            if own is None or own.pixels is None:
                marks[feature] = Mark("annotated", [0, SIZE * SIZE, 0, 0], is_painted=True)
            else:
                unseen, others, *rest = own.pixels
                own.pixels = [0, others + unseen, *rest]

        argv = ["annotations", "set", tile_id(place), "--feature", feature, "--done" if is_done else "--none"]
        return Command(argv, effect)

    def _import(self) -> Command:
        free = [name for name in TOMOGRAMS if name not in self.model.tomograms]
        name = self._rng.choice(free) if free and self._rng.random() < 0.9 else self._rng.choice(TOMOGRAMS)

        def effect(model: Model) -> None:
            require(name not in model.tomograms)
            model.tomograms.add(name)

        return Command(["import", "source.mrc", "--name", name], effect)

    def _tomograms_rename(self) -> Command:
        old, new = self._tomogram(), self._rng.choice(TOMOGRAMS)

        def effect(model: Model) -> None:
            require(old in model.tomograms and new not in model.tomograms)
            model.tomograms = model.tomograms - {old} | {new}
            model.tiles = {(new if at[0] == old else at[0], *at[1:]): marks for at, marks in model.tiles.items()}
            for results in (model.maps, model.labels):
                if old in results:
                    results[new] = results.pop(old)

        return Command(["tomograms", "rename", old, new], effect)

    def _tomograms_remove(self) -> Command:
        name = self._tomogram()

        def effect(model: Model) -> None:
            require(name in model.tomograms)
            model.tomograms.remove(name)
            model.tiles = {place: marks for place, marks in model.tiles.items() if place[0] != name}
            model.maps.pop(name, None)
            model.labels.pop(name, None)

        def put_back(model: Model, before: Model) -> None:
            require(name not in model.tomograms)
            model.tomograms.add(name)
            model.tiles |= {place: marks for place, marks in before.tiles.items() if place[0] == name}
            for results, earlier in ((model.maps, before.maps), (model.labels, before.labels)):
                if name in earlier:
                    results[name] = earlier[name]

        self._put_back = put_back
        return Command(["tomograms", "remove", name], effect)

    def _features_add(self) -> Command:
        name = self._rng.choice(FEATURES)

        def effect(model: Model) -> None:
            require(name not in model.features)
            model.features.append(name)

        return Command(["features", "add", name], effect)

    def _features_rename(self) -> Command:
        old, new = self._feature(), self._rng.choice(FEATURES)

        def effect(model: Model) -> None:
            require(old in model.features and new not in model.features)

            def names(features: list[str]) -> list[str]:
                return [new if name == old else name for name in features]

            model.features, model.network = names(model.features), names(model.network)
            model.trainsets = {name: (names(found), tiles) for name, (found, tiles) in model.trainsets.items()}
            by_feature: list[dict[str, Any]] = [*model.tiles.values(), *model.maps.values()]
            for named in by_feature:
                if old in named:
                    named[new] = named.pop(old)
            model.renamed += 1

        return Command(["features", "rename", old, new], effect)

    def _trainset_build(self) -> Command:
        features = list(dict.fromkeys(self._feature() for _ in range(self._rng.randint(1, 2))))
        name = f"set_{self._rng.randrange(6)}"

        def effect(model: Model) -> None:
            require(name not in model.trainsets and set(features) <= set(model.features))
            tiles = [
                place
                for place in model.tiles
                if any(model.state(place, feature) in {"annotated", "none here"} for feature in features)
            ]
            for feature in features:
                marks = [model.tiles[place].get(feature) for place in tiles]
                require(any(mark and mark.pixels and mark.pixels[2] for mark in marks))
            model.trainsets[name] = (features, len(tiles))

        argv = ["trainset", "build", name, *(word for feature in features for word in ("--feature", feature))]
        return Command(argv, effect)

    def _export(self) -> Command:
        tomogram, path = self._tomogram(), self._new_file("mrc")
        return Command(
            ["export", tomogram, "-o", path.name], lambda model: require(tomogram in model.tomograms), file=path
        )

    def _annotations_export(self) -> Command:
        tomogram, path = self._tomogram(), self._new_file("mrc")

        def effect(model: Model) -> None:
            require(tomogram in model.tomograms)
            require(any(place[0] == tomogram and marks.keys() - {"*"} for place, marks in model.tiles.items()))

        argv = ["annotations", "export", "--tomogram", tomogram, "-o", path.name]
        return Command(argv, effect, file=path.with_suffix(".tiles.json"))

    def _merge(self) -> Command:
        with_maps = sorted(self.model.maps) or ["cell_0"]
        tomogram, name = self._rng.choice(with_maps), f"merged_{self._rng.randrange(2)}"
        feature = self._rng.choice(sorted(self.model.maps.get(tomogram, {"tube": 0})))

        def effect(model: Model) -> None:
            require(tomogram in model.tomograms and feature in model.maps.get(tomogram, {}))
            model.labels.setdefault(tomogram, {})[name] = model.maps[tomogram][feature]

        return Command(["merge", tomogram, "--map", f"run:{feature}=0.5", "--name", name, "--wait"], effect)

    def _preprocess(self) -> Command:
        name = self._tomogram()

        def effect(model: Model) -> None:
            require(name in model.tomograms and f"{name}__bin2" not in model.tomograms)
            model.tomograms.add(f"{name}__bin2")

        return Command(["preprocess", name, "--bin", "2", "--no-filter", "--wait"], effect)

    def _new_file(self, suffix: str) -> Path:
        self._number += 1
        return self._folder / f"file_{self._number}.{suffix}"

    # Steps

    def step(self, *, kill_share: float) -> Iterator[str]:
        """Run one command, perhaps killed; yield what is wrong."""
        if self._removed and self._rng.random() < 0.3:
            yield from self._restore()
            return
        self._put_back = None
        command = self.draw()
        put_back, before, after = self._put_back, self.model, copy.deepcopy(self.model)
        try:
            command.effect(after)
            code = 0
        except RefusedError:
            after, code = self.model, 2
        verb = " ".join(word for word in command.argv[:2] if word.isalpha())
        at = self._rng.randint(1, self._reach[verb] or FIRST_REACH) if self._rng.random() < kill_share else 0
        outcome = self._say(command, at)
        if outcome.code == -9:
            self.kills += 1
            yield from self._check_killed(command, before, after, code)
            return
        self._reach[verb] = max(self._reach[verb], outcome.count)
        if code == 2 and "was interrupted before" in outcome.text:
            code, put_back = 0, None  # said once more although it is done
        if outcome.code != code:
            yield f"it ends with {outcome.code} instead of {code}: {outcome.text}"
            return
        self.model = after
        yield from self._differences("afterwards", after)
        if code == 0 and command.file and not command.file.exists():
            yield f"{command.file.name} is missing"
        if code == 0 and put_back is not None and (trash := re.search(r" to (\S+/trash/\S+)\.$", outcome.text.strip())):
            self._removed.append((Path(trash[1]), before, put_back))

    def _say(self, command: Command, at: int = 0) -> Outcome:
        self.commands += 1
        outcome = self._run(self._folder, *command.argv, at=at)
        ending = f"killed at change {at}" if outcome.code == -9 else f"exit {outcome.code}"
        self.log.append(f"{' '.join(command.argv)}  # {ending}")
        return outcome

    def _check_killed(self, command: Command, before: Model, after: Model, code: int) -> Iterator[str]:
        if command.argv[-1] == "--wait":
            self._wait_for_jobs()
        seen = self._seen()
        states = [model for model in (before, after) if seen == model.listing()]
        if not states and not (command.argv[-1] == "--done" and is_begun(before, after, seen)):
            yield f"it is half done: {differences(before.listing(), seen)}"
        if code == 0 and states and self._rng.random() < 0.25:  # another command comes in between
            self.model = states[-1]
            return
        is_done = bool(states) and states[0] is after and before is not after
        again = self._say(command)
        if command.file is not None and again.code == 2 == code + 2:
            command.argv.append("--force")
            again = self._say(command)
        may_end = {0, 2} if is_done else {code}
        if again.code not in may_end:
            yield f"said again it ends with {again.code}: {again.text}"
        self.model = after
        yield from self._differences("said again", after)

    def _restore(self) -> Iterator[str]:
        """Move what a command has removed out of the trash again, as a user does."""
        trash, before, put_back = self._removed.pop()
        after = copy.deepcopy(self.model)
        try:
            put_back(after, before)
            require(before.renamed == after.renamed)
        except (RefusedError, KeyError):
            return
        self.log.append(f"cp -r {trash.name}/* project/")
        shutil.copytree(trash, self.project, dirs_exist_ok=True)
        self.model = after
        yield from self._differences("put back", after)

    def _wait_for_jobs(self) -> None:
        def is_quiet() -> bool:
            jobs = json.loads(self._run(self._folder, "jobs", "--json").text)
            return not any(job["state"] in {"queued", "running"} for job in jobs)

        wait_until(is_quiet)

    def _differences(self, when: str, model: Model) -> Iterator[str]:
        difference = differences(model.listing(), self._seen())
        if difference:
            yield f"{when}: {difference}"

    def _seen(self) -> dict[str, Any]:
        """Return what the listings show; a failing one as its text."""
        outcomes = self._run.run_all(self._folder, [[*words.split(), "--json"] for words in LISTINGS])
        found = dict(zip(LISTINGS, outcomes, strict=True))
        failed = {name: outcome.text for name, outcome in found.items() if outcome.code}
        if failed:
            return failed
        rows = {name: json.loads(outcome.text) for name, outcome in found.items()}
        return {
            "tomograms": {row["name"]: [row["tiles"], row["maps"], row["labels"]] for row in rows["tomograms"]},
            "features": {row["name"]: [row["positive"], row["negative"]] for row in rows["features"]},
            "tiles": {row["id"]: row["features"] for row in rows["tiles list"]},
            "annotations": {
                f"{row['tile']} {row['feature']}": [row["state"], row["pixels"] and list(row["pixels"].values())]
                for row in rows["annotations list"]
            },
            "trainsets": {row["name"]: [row["features"], row["tiles"]] for row in rows["trainset list"]},
            "networks": sorted(rows["networks"][0]["features"]),
            "labels": {
                f"{path.parent.name}/{path.stem}": int((read_voxels(path) > 0).sum())
                for path in sorted(self.project.glob("labels/*/[!.]*.mrc"))
            },
        }

    def close(self) -> Iterator[str]:
        """Yield what is left behind at the end."""
        self._run(self._folder, "features", "add", "sweep")
        if left := leftovers(self.project):
            yield f"left behind: {left}"
        for line in (self.project / "history.jsonl").read_text(encoding="utf-8").splitlines():
            json.loads(line)


def _import_mark(model: Model, place: Location, feature: str, pixels: list[int], *, does_replace: bool) -> None:
    """Change a tile as an import of masks does."""
    marks, state = model.tiles[place], model.state(place, feature)
    own = marks.get(feature)
    may_change = does_replace and own is not None and own.is_from_file
    decides = state is None or may_change
    if state == "none here" and not may_change:
        return
    if decides and not pixels[2]:
        marks[feature] = Mark("none here", is_from_file=True)
    elif own is None or not own.is_painted or does_replace:
        marks[feature] = Mark("annotated", pixels, is_from_file=decides or (own is not None and own.is_from_file))


def differences(wanted: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
    """Return what is missing and what is there instead, by listing."""
    found = {}
    for name in wanted.keys() | seen.keys():
        one, other = wanted.get(name), seen.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            parts = {key: (one.get(key), other.get(key)) for key in one.keys() | other.keys()}
            one, other = None, {key: pair for key, pair in parts.items() if pair[0] != pair[1]} or None
        if one != other:
            found[name] = other if one is None else (one, other)
    return found


def is_begun(before: Model, after: Model, seen: dict[str, Any]) -> bool:
    """Return whether a tile is marked as done, but its pixels are as before: the mark is saved as strokes are."""
    old, new = before.listing(), after.listing()
    states = [{key: row[0] for key, row in rows["annotations"].items()} for rows in (new, seen)]
    known = [*old["annotations"].values(), ["annotated", [SIZE * SIZE, 0, 0, 0]]]
    changed = [row for key, row in seen["annotations"].items() if row != new["annotations"].get(key)]
    return states[0] == states[1] and all(row[1] in [pixels for _, pixels in known] for row in changed)


def read_voxels(path: Path) -> Any:
    """Return the voxels of an MRC file of bytes."""
    return np.fromfile(path, np.int8, offset=1024)


def make_template(folder: Path, run: FaultyRunner) -> None:
    """Make a folder with a project that has a tomogram with maps, and the files that the commands name."""
    folder.mkdir()
    rng = np.random.default_rng(7)
    write_mrc(folder / "source.mrc", noise(SHAPE_ZYX))
    for name in LABEL_FILES:
        blocks = rng.choice((0, 0, 0, 1, 2), size=(SHAPE_ZYX[0], *(length // 32 for length in SHAPE_ZYX[1:])))
        write_mrc(folder / name, blocks.repeat(32, 1).repeat(32, 2).astype(np.int8))
    for words in ("init project", "import source.mrc --name cell_0", "features add tube", "features add wall"):
        outcome = run(folder, *words.split())
        assert outcome.code == 0, outcome.text
    project = Project.open(folder / "project")
    put_card(project, make_card("run", features=("tube", "wall")))
    for feature in ("tube", "wall"):
        write_map(project, f"run.{feature}", rng.integers(0, 128, SHAPE_ZYX, np.int8), tomogram="cell_0")


def template_model(template: Path) -> Model:
    """Return the model of a new project."""
    maps = (template / "project/maps/cell_0").glob("*.mrc")
    voxels = {path.stem.removeprefix("run."): int((read_voxels(path) > 63).sum()) for path in maps}
    return Model({"cell_0"}, ["tube", "wall"], maps={"cell_0": voxels}, network=["tube", "wall"])


@dataclass
class Tally:
    """Result of several walks."""

    walks: int = 0
    commands: int = 0
    kills: int = 0
    findings: list[str] = field(default_factory=list)


def walk_randomly(seed: int, *, seconds: float, walks: int = sys.maxsize, kill_share: float = 0.8) -> Tally:
    """Walk with one seed after the other until the time is up; print each finding and how it was reached."""
    tally, until = Tally(), time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="tomoseg_walks.") as scratch:
        os.environ["TOMOSEG_QUEUE_FOLDER"] = f"{scratch}/queue"  # other jobs must not be ahead in the queue
        with faulty_runner() as run:
            make_template(Path(scratch) / "template", run)
            while tally.walks < walks and time.monotonic() < until:
                walk = Walk(seed + tally.walks, Path(scratch) / "template", Path(scratch) / "work", run)
                found: list[str] = []
                for _ in range(STEPS):
                    found = found or list(walk.step(kill_share=kill_share))
                    if found or time.monotonic() > until:
                        break
                found = found or list(walk.close())
                if found:
                    report = "\n    ".join([f"seed {seed + tally.walks}:", *walk.log[-8:], *found])
                    print(report, flush=True)
                    tally.findings.append(report)
                tally.walks, tally.commands, tally.kills = (
                    tally.walks + 1,
                    tally.commands + walk.commands,
                    tally.kills + walk.kills,
                )
                shutil.rmtree(Path(scratch) / "work")
    return tally


def main() -> int:
    """Walk as the arguments say, and print the outcome."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--walks", type=int, default=sys.maxsize)
    arguments = parser.parse_args()
    tally = walk_randomly(arguments.seed, seconds=arguments.seconds, walks=arguments.walks)
    print(
        f"{tally.commands} random commands in {tally.walks} projects (seeds from {arguments.seed}), "
        f"{tally.kills} killed: {len(tally.findings)} findings"
    )
    return bool(tally.findings)


if __name__ == "__main__":
    sys.exit(main())
