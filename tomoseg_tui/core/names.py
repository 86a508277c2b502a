"""Names of tomograms, features, runs and training sets: allowed characters and version tags."""

import re

from tomoseg_tui.errors import ProjectError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VOLUME_SUFFIX = re.compile(r"\.(?:(?:mrc|rec|map|st|ali)(?:\.(?:gz|bz2))?|hdf|tif)$", re.IGNORECASE)

ANY_FEATURE = "*"
"""Stands for all features, on a tile that contains none of them."""
IGNORE = "ignore"
"""Stands for label values that are left out of training."""


def check_name(name: str, kind: str) -> str:
    """Return the name if it is allowed.

    Parameters
    ----------
    name : str
        1 to 100 of the characters ``A-Za-z0-9._-``, the first a letter or digit.
    kind : str
        The kind of thing named, for the message: "tomogram", "feature", "run" ...

    Raises
    ------
    ProjectError
        If the name has other characters, is empty or too long.
    """
    if not _NAME.fullmatch(name):
        raise ProjectError(
            f"{name!r} cannot be the name of a {kind}.",
            "Use 1 to 100 letters, digits, dots, dashes and underscores, starting with a letter or digit.",
        )
    return name


def check_feature_name(name: str) -> str:
    """Return the feature name if it is allowed; `*` and `ignore` are reserved."""
    if name in {ANY_FEATURE, IGNORE}:
        raise ProjectError(f"{name!r} cannot be the name of a feature: it is reserved.", "Choose another name.")
    return check_name(name, "feature")


def name_from_file(file_name: str) -> str:
    """Return the tomogram name for a file: without its suffix, other characters replaced by underscores.

    Examples
    --------
    >>> name_from_file("lamella 3.rec.gz")
    'lamella_3'
    """
    stem = _VOLUME_SUFFIX.sub("", file_name)
    clean = re.sub(r"[^A-Za-z0-9._-]", "_", stem).lstrip("._-")[:100]
    return clean or "tomogram"


def volume_stem(file_name: str) -> str:
    """Return the file name without the suffixes of volumes."""
    return _VOLUME_SUFFIX.sub("", file_name)


def base_name(name: str) -> str:
    """Return the name shared by all versions of one tomogram: up to the first ``__`` (EMAN2's rule)."""
    return name.split("__", 1)[0]


def version_tag(name: str) -> str:
    """Return the tag of a version: the part after the first ``__``, empty for the first version."""
    return name.split("__", 1)[1] if "__" in name else ""


def version_name(name: str, suffix: str) -> str:
    """Return the name of a derived version: ``a`` and bin2 give ``a__bin2``, then preproc gives ``a__bin2_preproc``."""
    return f"{name}_{suffix}" if "__" in name else f"{name}__{suffix}"
