"""Names of tomograms, features, runs and training sets: what is allowed, and what a tag says."""

import re

from tomoseg_tui.errors import ProjectError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VOLUME_SUFFIX = re.compile(r"\.(?:(?:mrc|rec|map|st|ali)(?:\.(?:gz|bz2))?|hdf|tif)$", re.IGNORECASE)

ANY_FEATURE = "*"
"""Stands for every feature on a tile that holds none of any."""
IGNORE = "ignore"
"""Stands for the labels of a volume that teach nothing."""


def check_name(name: str, kind: str) -> str:
    """Return the name, or refuse it in words.

    Parameters
    ----------
    name : str
        Allowed are 1 to 100 of the characters ``A-Za-z0-9._-``, the first a letter or digit.
    kind : str
        What is to be named, for the message: "tomogram", "feature", "run" ...

    Raises
    ------
    ProjectError
        If the name has other characters, is empty or too long.
    """
    if not _NAME.fullmatch(name):
        raise ProjectError(
            f"{name!r} cannot be the name of a {kind}.",
            "Take 1 to 100 letters, digits, dots, dashes and underscores, a letter or digit first.",
        )
    return name


def check_feature_name(name: str) -> str:
    """Return a feature's name, or refuse it; `*` and `ignore` mean something else already."""
    if name in {ANY_FEATURE, IGNORE}:
        raise ProjectError(f"{name!r} cannot be the name of a feature: it has a meaning of its own.", "Choose another.")
    return check_name(name, "feature")


def name_from_file(file_name: str) -> str:
    """Return the name that a tomogram takes from its file: suffix off, odd characters to underscores.

    Examples
    --------
    >>> name_from_file("lamella 3.rec.gz")
    'lamella_3'
    """
    stem = _VOLUME_SUFFIX.sub("", file_name)
    clean = re.sub(r"[^A-Za-z0-9._-]", "_", stem).lstrip("._-")[:100]
    return clean or "tomogram"


def volume_stem(file_name: str) -> str:
    """Return the file's name without the suffixes of volumes, nothing else changed."""
    return _VOLUME_SUFFIX.sub("", file_name)


def base_name(name: str) -> str:
    """Return what all versions of one tomogram share: the name up to the first ``__`` (EMAN2's rule)."""
    return name.split("__", 1)[0]


def version_tag(name: str) -> str:
    """Return the tag of a version, what stands after the first ``__``; empty for the first version."""
    return name.split("__", 1)[1] if "__" in name else ""


def version_name(name: str, suffix: str) -> str:
    """Return the name of a version made from another: ``a`` + bin2 is ``a__bin2``, + preproc ``a__bin2_preproc``."""
    return f"{name}_{suffix}" if "__" in name else f"{name}__{suffix}"
