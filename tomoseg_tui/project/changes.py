"""Changes of several files that happen as one, and the leftovers of killed processes.

To rename, remove or import something, all steps are written to one file first, then carried out, and that file is
removed last. Each step may be carried out twice. If the process is killed or the disk fails in between, the next
command carries out the rest.

Such a change excludes everybody who writes a tile: it holds the project's change lock and waits until no tile is
locked; whoever locks a tile gives it back if a change has begun.
"""

import atexit
import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import msgspec

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import AlreadyRunningError, DiskFullError, ProjectError
from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import (
    PROCESS_TOKEN,
    append_line,
    draft_path,
    sync_to_disk,
    write_atomically,
)
from tomoseg_tui.files.disk_space import disk_full_error, is_disk_full
from tomoseg_tui.files.structured import MalformedError, read_json
from tomoseg_tui.project.history import HistoryEntry
from tomoseg_tui.project.layout import ProjectLayout

PATIENCE_SECONDS = 60.0
"""How long a writer waits for a change of several files."""
MAX_LEFTOVER_AGE_SECONDS = 86400.0
"""A process of another host whose mark is older counts as dead."""
MAX_MARKING_SECONDS = 60.0
"""A mark without content that is older is of a process that was killed as it wrote it."""
_MAX_SYNCED_FOLDERS = 64
"""For more folders, all of the disk is written instead of one after the other."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """Move `source` to `target`, or write `text` there, or, without either, remove `target`."""

    target: str
    """Path relative to the project's folder."""
    source: str | None = None
    text: str | None = None


class Intent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change that was begun."""

    steps: tuple[Step, ...]
    history: str = ""
    """Line for the history."""


class Change:
    """The steps of a change; see `change_files`."""

    def __init__(self, layout: ProjectLayout) -> None:
        self._layout = layout
        self.steps: list[Step] = []
        self._drafts: list[Path] = []

    def move(self, source: Path, target: Path) -> None:
        """Give a file or folder another name, if it exists then."""
        self.steps.append(Step(self._relative(target), self._relative(source)))

    def write(self, target: Path, content: bytes) -> None:
        """Replace a small file."""
        self.steps.append(Step(self._relative(target), text=content.decode()))

    def remove(self, target: Path) -> None:
        """Remove a file, if it exists then."""
        self.steps.append(Step(self._relative(target)))

    def draft_for(self, target: Path) -> Path:
        """Return the name of a file or folder to make now, that will replace `target`."""
        draft = draft_path(target)
        self.use_draft(draft, target)
        return draft

    def use_draft(self, draft: Path, target: Path) -> None:
        """Let a draft that was made before replace `target`; it is removed if the change does not begin."""
        self._drafts.append(draft)
        self.move(draft, target)

    def _relative(self, path: Path) -> str:
        return str(path.relative_to(self._layout.root))

    def discard(self) -> None:
        """Remove all drafts."""
        for draft in self._drafts:
            _remove_any(draft)

    def begin(self, entry: HistoryEntry | None) -> Intent:
        """Write all steps to disk."""
        for draft in self._drafts:
            sync_to_disk(draft)
        intent = Intent(tuple(self.steps), "" if entry is None else entry.encode())
        write_atomically(self._layout.change, msgspec.json.encode(intent))
        return intent


def _remove_any(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def change_files(
    layout: ProjectLayout, entry: HistoryEntry | None = None, *, tile_folders: Iterable[Path] = ()
) -> Iterator[Change]:
    """Collect the steps of a change, and carry them out at the end; an exception inside leaves everything as it was.

    Parameters
    ----------
    layout : ProjectLayout
        Paths of the project.
    entry : HistoryEntry or None
        The command, written into the history as a part of the change.
    tile_folders : iterable of Path
        Folders of tiles; the change waits until nobody writes them.

    Raises
    ------
    AlreadyRunningError
        If another change, or somebody who writes a tile, takes too long.
    ProjectError, DiskFullError
        If a step fails. The next command carries out the rest.
    """
    claim = layout.change_claim
    with locks.held(claim), locks.heartbeat(lambda: [claim]):
        _finish_interrupted(layout)
        _wait_for_tiles(tile_folders)
        change = Change(layout)
        try:
            yield change
            if not change.steps:
                return
            intent = change.begin(entry)
        except BaseException:
            layout.change.unlink(missing_ok=True)  # it may be there although it could not be synchronised
            change.discard()
            raise
        try:
            _carry_out(layout, intent)
        except OSError as fault:
            raise _unfinished_error(fault) from fault
        if entry is not None:
            with contextlib.suppress(OSError):  # the caller tries again, and reports it
                append_line(layout.history, intent.history)
                entry.is_written = True
        try:
            layout.change.unlink()
        except OSError as fault:
            raise _unfinished_error(fault) from fault


def _unfinished_error(fault: OSError) -> ProjectError | DiskFullError:
    if is_disk_full(fault):
        return disk_full_error(fault.filename, fault, next_step="say the command again: it finishes what was begun.")
    return ProjectError(
        f"The change was begun, but it is not complete: {fault.strerror or fault} ({fault.filename}).",
        "When that is repaired, say the command again: it finishes what was begun.",
    )


def _wait_for_tiles(tile_folders: Iterable[Path]) -> None:
    """Wait until no tile is locked; nobody locks one from now on."""
    for claim in (folder / "claim.json" for folder in tile_folders):
        if claim.exists():
            with locks.held(claim):
                pass


def _carry_out(layout: ProjectLayout, intent: Intent) -> None:
    folders = set()
    for step in intent.steps:
        target = layout.root / step.target
        folders.add(target.parent)
        if step.text is not None:
            write_atomically(target, step.text)
        elif step.source is None:
            target.unlink(missing_ok=True)
        elif os.path.lexists(source := layout.root / step.source):
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            folders.add(source.parent)
    if len(folders) > _MAX_SYNCED_FOLDERS:
        os.sync()
        return
    for folder in folders:
        if folder.is_dir():  # a later step may have moved it
            sync_to_disk(folder)


def _read_intent(layout: ProjectLayout) -> Intent | None:
    try:
        intent = read_json(layout.change, Intent)
    except FileNotFoundError:
        return None
    except (OSError, MalformedError) as fault:
        raise ProjectError(
            f"{layout.change}, the plan of an interrupted change, cannot be read: {fault}.",
            "Remove that file, and check what was being renamed, removed or imported.",
        ) from fault
    for path in (path for step in intent.steps for path in (step.target, step.source or "")):
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ProjectError(f"{layout.change} names a path outside the project: {path}.", "Remove that file.")
    return intent


def _finish_interrupted(layout: ProjectLayout) -> None:
    """Carry out the rest of an interrupted change; the caller holds the change lock."""
    intent = _read_intent(layout)
    if intent is None:
        return
    try:
        _carry_out(layout, intent)
        if intent.history:
            append_line(layout.history, f'{intent.history[:-1]}, "interrupted": true}}')
        layout.change.unlink()
    except OSError as fault:
        raise _unfinished_error(fault) from fault


def settle(layout: ProjectLayout) -> None:
    """Wait for a change of several files that is running, and finish one that was interrupted.

    Raises
    ------
    AlreadyRunningError
        If a change takes too long.
    ProjectError, DiskFullError
        If an interrupted change cannot be finished.
    """
    if _is_changing(layout):
        with locks.held(layout.change_claim, patience_seconds=PATIENCE_SECONDS):
            _finish_interrupted(layout)


def is_left_unfinished(layout: ProjectLayout) -> bool:
    """Return whether the last process that changed several files was killed before it could report it."""
    return layout.change_claim.exists() and not locks.is_held(layout.change_claim)


def finish_if_possible(layout: ProjectLayout) -> None:
    """Finish an interrupted change, unless it is still running or this user cannot; for those who only read."""
    if layout.change.exists():
        _leave_mark(layout)
        with (
            contextlib.suppress(OSError, AlreadyRunningError, ProjectError, DiskFullError),
            locks.held(layout.change_claim, patience_seconds=0),
        ):
            _finish_interrupted(layout)


def _is_changing(layout: ProjectLayout) -> bool:
    return layout.change_claim.exists() or layout.change.exists()


@contextlib.contextmanager
def tile_lock(layout: ProjectLayout, location: TileLocation) -> Iterator[None]:
    """Hold the lock of a tile during a short change; no change of several files runs then.

    Raises
    ------
    AlreadyRunningError
        If a living process holds it, or a change of several files takes too long.
    ProjectError
        If the tile's folder is not there: it was removed, or its tomogram was renamed.
    """
    folder = layout.tile_folder(location)
    while True:
        settle(layout)
        before = _inode(folder)
        if before is None:
            break
        with locks.held(layout.tile_claim(location)):
            is_changing, after = _is_changing(layout), _inode(folder)
            if not is_changing and after == before:
                yield
                return
        if after != before:  # the lock has made a folder that was moved away again
            with contextlib.suppress(OSError):
                folder.rmdir()
        if not is_changing:
            break
    raise ProjectError(f"There is no tile {location.id} any more.", "List the tiles: tomoseg tiles list")


def _inode(folder: Path) -> int | None:
    try:
        return folder.stat().st_ino
    except FileNotFoundError:
        return None


# Leftovers of killed processes

_LOCK_REMOVAL = re.compile(r"\.+(change\.claim|claim|painting)\.json(\.[0-9a-f]{16})+")
"""Second lock for the removal of a lock, and drafts of both."""
_marks: dict[Path, Path] = {}
"""The mark of this process by the project's folder."""


def begin_writing(layout: ProjectLayout) -> None:
    """Leave a mark while this process lives, settle the project, and remove the drafts of killed processes."""
    is_first = _leave_mark(layout)
    settle(layout)
    if is_first:
        with contextlib.suppress(OSError):
            _remove_leftovers(layout)


def _leave_mark(layout: ProjectLayout) -> bool:
    """Leave a mark unless there is one; return whether it is new."""
    if layout.root in _marks:
        return False
    mark = _marks[layout.root] = layout.writer_mark(PROCESS_TOKEN)
    with contextlib.suppress(OSError):  # whoever cannot write here learns it from the write itself
        mark.write_bytes(msgspec.json.encode(locks.this_process()))  # no draft, which nobody would know for a leftover
    return True


@atexit.register
def end_writing() -> None:
    """Remove the marks of this process."""
    while _marks:
        with contextlib.suppress(OSError):
            _marks.popitem()[1].unlink(missing_ok=True)


def _remove_leftovers(layout: ProjectLayout) -> None:
    dead_marks = [mark for mark in layout.root.glob(".writer.*.json") if not _may_live(mark)]
    if not dead_marks:
        return
    tokens = "|".join(re.escape(mark.name.split(".")[2]) for mark in dead_marks)
    pattern = re.compile(rf"\..+\.({tokens})[0-9a-f]{{8}}(\.weights\.h5)?")
    results = (layout.networks, layout.audits, layout.maps, layout.labels)
    folders = [layout.root, layout.tomograms, layout.trainsets]
    folders += [folder for parent in (layout.tomograms, *results) for folder in parent.glob("*/")]
    folders += [folder for parent in (layout.tiles, layout.annotations) for folder in parent.glob("*/*/")]
    folders += layout.jobs.glob("*/")
    for folder in folders:
        for entry in os.scandir(folder) if folder.is_dir() else ():
            path = Path(entry.path)
            if pattern.fullmatch(entry.name):
                _remove_any(path)
            elif folder.parent == layout.jobs:
                continue  # the lock of a dead worker shows how its job ended
            elif (entry.name in {"claim.json", ".painting.json"} and not locks.is_held(path)) or (
                _LOCK_REMOVAL.fullmatch(entry.name) and not _may_live(path)
            ):
                with contextlib.suppress(AlreadyRunningError), locks.held(path, patience_seconds=0):
                    pass  # to acquire it is the safe way to remove a lock of a dead process
    for mark in dead_marks:
        mark.unlink(missing_ok=True)


def _may_live(mark: Path) -> bool:
    owner = locks.owner_of(mark)
    age = locks.age_seconds(mark)
    if owner is None:
        return age < MAX_MARKING_SECONDS
    return locks.is_alive(owner, lambda: 0.0 if age < MAX_LEFTOVER_AGE_SECONDS else age)
