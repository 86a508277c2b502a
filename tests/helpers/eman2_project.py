"""Small EMAN2 projects, written as EMAN2 does, without the code under test."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

SHAPE_ZYX = (10, 96, 110)
"""Shape of tomograms; all edges differ."""


def smooth_noise(shape_zyx: tuple[int, int, int] = SHAPE_ZYX, *, seed: int = 7) -> NDArray[np.float32]:
    """Return smooth densities, as in tomograms, with mean 0 and sigma 1."""
    values = np.random.default_rng(seed).normal(0, 1, shape_zyx)
    for axis in range(3):
        values = values + np.roll(values, 1, axis)
    return np.asarray((values - values.mean()) / values.std(), np.float32)


def cut(values: NDArray[Any], xyz: tuple[int, int, int], size: int = 64) -> NDArray[np.float32]:
    """Cut a tile as e2spt_boxer.py does: starting at x - size//2, 0 outside."""
    x, y, z = xyz
    tile = np.zeros((size, size), np.float32)
    for row in range(size):
        for column in range(size):
            at = (z, y - size // 2 + row, x - size // 2 + column)
            if all(0 <= where < length for where, length in zip(at, values.shape, strict=True)):
                tile[row, column] = values[at]
    return tile


@dataclass(frozen=True)
class EmanFolder:
    """A project folder as e2projectmanager.py creates it."""

    root: Path

    def __post_init__(self) -> None:
        for name in ("tomograms", "info", "particles", "neuralnets"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def tomogram(self, name: str, values: NDArray[Any], *, apix: float | None = 10.0, bits: int = 0) -> Path:
        """Write a volume, bit-reduced if `bits` is given."""
        path = self.root / "tomograms" / name
        with h5py.File(path, "w") as file:
            file.create_group("MDF/images").attrs["imageid_max"] = np.array([0], np.int32)
            group = file.create_group("MDF/images/0")
            _header(group, values.shape, apix)
            if bits:
                low, high = float(values.min()), float(values.max())
                raw = np.rint((values - low) / (high - low) * (2**bits - 1)).astype(np.uint8)
                group.create_dataset("image", data=raw, chunks=(1, 8, values.shape[2]), compression="gzip")
                group.attrs["EMAN.stored_renderbits"] = np.array([bits], np.int32)
                group.attrs["EMAN.stored_rendermin"] = np.array([low], np.float32)
                group.attrs["EMAN.stored_rendermax"] = np.array([high], np.float32)
            else:
                group["image"] = values.astype(np.float32)
        return path

    def info(self, base: str, **keys: object) -> Path:
        """Write an info file."""
        path = self.root / "info" / f"{base}_info.json"
        path.write_text(json.dumps(keys, indent=0, sort_keys=True))
        return path

    def stack(
        self,
        name: str,
        images: Sequence[NDArray[Any]],
        *,
        source: str | None = None,
        xyz: Sequence[tuple[int, int, int]] = (),
        shape_zyx: tuple[int, int, int] = SHAPE_ZYX,
    ) -> Path:
        """Write a stack of tiles; with a source, the headers have their coordinates."""
        path = self.root / "particles" / name
        with h5py.File(path, "w") as file:
            file.create_group("MDF/images").attrs["imageid_max"] = np.array([len(images) - 1], np.int32)
            for index, image in enumerate(images):
                group = file.create_group(f"MDF/images/{index}")
                _header(group, (1, *image.shape), 10.0)
                group["image"] = image.astype(np.float32)
                if source is not None:
                    text = f"tomograms/{source}".encode()
                    group.attrs.create("EMAN.ptcl_source_image", np.array(text, dtype=f"S{len(text) + 1}"))
                if xyz:
                    offset = [at - n // 2 for at, n in zip(xyz[index], reversed(shape_zyx), strict=True)]
                    group.attrs["EMAN.ptcl_source_coord"] = np.array(offset, np.float32)
        return path

    def log(self, *commands: str) -> None:
        """Write the log of commands."""
        lines = [f"2026/01/02 10:00:00\t2026/01/02 10:05:00\t12/-2\thost\t{command}" for command in commands]
        (self.root / ".eman2log.txt").write_text("\n".join(lines) + "\n")


def _header(group: Any, shape: tuple[int, ...], apix: float | None) -> None:
    for axis, length in zip("zyx", shape, strict=True):
        group.attrs[f"EMAN.n{axis}"] = np.array([length], np.int32)
        if apix is not None:
            group.attrs[f"EMAN.apix_{axis}"] = np.array([apix], np.float32)


def box(xyz: tuple[float, float, float], set_id: int = 0, method: str = "manual") -> list[object]:
    """Return a box as in an info file."""
    return [*xyz, method, 0.0, set_id]
