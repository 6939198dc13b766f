"""Provenance: which bytes went in, and which versions made the numbers.

It holds no clock and no host: the same input gives the same provenance.
"""

from __future__ import annotations

import glob
import hashlib
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

from igdd.io import sidecar
from igdd.io.bounded import opened, resolve_inside

# The packages whose arithmetic or parsing can change a number.
PACKAGES = ("igdd", "numpy", "scipy", "pandas", "pydicom", "highdicom", "openpyxl", "scikit-image")
BLOCK = 1 << 20


def sha256(path: Path) -> str:
    """SHA-256 of a regular file, read in blocks."""
    digest = hashlib.sha256()
    with opened(path) as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sha256_text(text: str) -> str:
    """SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@cache
def code() -> str:
    """SHA-256 of igdd's own source: a stored session must not outlive the code that made it."""
    folder = Path(__file__).parent
    files = sorted(item for item in folder.rglob("*") if item.suffix in (".py", ".csv"))
    return sha256_text(
        "".join(f"{item.relative_to(folder).as_posix()} {sha256(item)}" for item in files)
    )


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a number."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def companions(path: Path) -> tuple[Path, ...]:
    """The files that reading a path can touch: all below a folder; a file and its sidecars."""
    if path.is_dir():
        return tuple(sorted(item for item in path.rglob("*") if item.is_file()))
    stem = sidecar.stem(path)
    beside = {item for item in path.parent.glob(f"{glob.escape(stem)}.*") if item.is_file()}
    inherited = {*sidecar.applicable(path, ".json"), *sidecar.applicable(path, ".tsv")}
    return tuple(sorted({path, *beside, *inherited}))


def hashes(paths: Iterable[Path], roots: Iterable[Path]) -> Mapping[str, str]:
    """SHA-256 of every file that reading the paths can touch, by its name below its root.

    A file that a symbolic link leads out of the granted roots is refused.
    """
    folders = tuple(root.resolve() for root in roots)
    found = {}
    for path in paths:
        for item in companions(path):
            whole = resolve_inside(item, folders)
            root = next(one for one in folders if whole.resolve().is_relative_to(one))
            found[whole.resolve().relative_to(root).as_posix()] = sha256(item)
    return dict(sorted(found.items()))
