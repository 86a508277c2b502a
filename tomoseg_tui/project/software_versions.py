"""Versions of the software that computes results, recorded with every result."""

import platform

from tomoseg_tui import __version__

_PACKAGES = ("numpy", "scipy", "tensorflow", "keras", "h5py", "mrcfile")


def library_versions() -> dict[str, str]:
    """Return the versions of tomoseg, Python and the libraries that affect results."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  # slow to import

    versions = {"tomoseg": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
