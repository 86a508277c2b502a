"""Typed paths: completion and expansion of wildcards. Both read folders and run in threads."""

import os
from collections.abc import Collection
from pathlib import Path

from tomoseg_tui.errors import UsageError

_WILDCARDS = frozenset("*?[")


def complete_path(text: str, suffixes: Collection[str] = ()) -> str:
    """Return the text extended by what all matching entries of the folder have in common.

    Parameters
    ----------
    text : str
        A path or its beginning; ``~`` is the home folder.
    suffixes : collection of str
        Extensions of files to complete, lower case; all if empty. Folders are always completed.

    Returns
    -------
    str
        Begins with `text`. A folder that is the only match ends in ``/``. Unchanged if nothing matches.
    """
    names = _entries_with_prefix(text, suffixes)
    if not names:
        return text
    typed = text.rpartition("/")[2]
    common_prefix = os.path.commonprefix(names)  # noqa: RUF071  # names are wanted letter by letter
    return text + common_prefix[len(typed) :]


def _entries_with_prefix(text: str, suffixes: Collection[str]) -> list[str]:
    """List the completions of the last part of a path; folders end in a slash, hidden entries need a typed dot."""
    head, slash, typed = text.rpartition("/")
    try:
        folder = Path(head + slash or ".").expanduser()
        with os.scandir(folder) as entries:
            return sorted(
                f"{entry.name}/" if entry.is_dir() else entry.name
                for entry in entries
                if entry.name.startswith(typed)
                and (typed or not entry.name.startswith("."))
                and (entry.is_dir() or _has_suffix(entry.name, suffixes))
            )
    except (OSError, RuntimeError, ValueError):  # no such folder, no such user's home, a zero byte
        return []


def _has_suffix(name: str, suffixes: Collection[str]) -> bool:
    return not suffixes or name.lower().endswith(tuple(suffixes))


def find_files(text: str, suffixes: Collection[str] = ()) -> list[Path]:
    """Return the files that a typed path stands for.

    Parameters
    ----------
    text : str
        A file, a folder, or a path with the wildcards ``*``, ``?``, ``[...]`` or ``**``.
    suffixes : collection of str
        Extensions of the files that a folder or wildcards stand for, lower case; all if empty. A file that is
        named in full may have any extension.

    Returns
    -------
    list of Path
        Absolute and sorted; at least one.

    Raises
    ------
    UsageError
        If there is no such file.
    """
    try:
        path = Path(text).expanduser().absolute()
        if path.is_file():
            return [path]
        paths = sorted(path.iterdir()) if path.is_dir() else _expand_wildcards(path)
    except (OSError, RuntimeError, ValueError) as fault:
        raise UsageError(f"{text} cannot be read: {fault}.", "Check the path and its permissions.") from fault
    files = [entry for entry in paths if _has_suffix(entry.name, suffixes) and entry.is_file()]
    if not files:
        description = f"file ending in {', '.join(suffixes)}" if suffixes else "file"
        raise UsageError(f"There is no {description} at {text}.", "Check the path; tab completes it.")
    return files


def _expand_wildcards(path: Path) -> list[Path]:
    """Return the paths that match a path with wildcards."""
    parts = path.parts
    first_wildcard = next((index for index, part in enumerate(parts) if _WILDCARDS & set(part)), None)
    if first_wildcard is None:
        return []
    return sorted(Path(*parts[:first_wildcard]).glob("/".join(parts[first_wildcard:])))


def path_argument(path: Path, root: Path) -> str:
    """Return a path as an argument of a command: relative inside the folder of the project, else absolute."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
