"""Bounded reading: nothing is allocated, inflated or followed on a file's word alone.

What a header claims is held against the memory budget and, where nothing is compressed, against
the file's own size before anything is allocated. Inflating stops one byte past the claim; there is
no bound on the compression ratio, because honest label maps reach 1000:1.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from igdd.errors import InputError

# Bytes that one file may claim: a 60-frame body scan in single precision is about 1 GB.
DEFAULT_BUDGET = 8 * 10**9
BUDGET_VARIABLE = "IGDD_MEMORY_BUDGET"
# Sidecars and label tables are a few kB; parsed JSON takes up to 40 times its length.
TEXT_LIMIT = 2 * 2**20
# Bytes that are read, inflated or converted at a time.
CHUNK = 4 * 2**20
GZIP_MAGIC = b"\x1f\x8b"
# Deflate cannot do better: 258 bytes from two bits (RFC 1951). No honest file exceeds it.
DEFLATE_LIMIT = 1032


class Readable(Protocol):
    """Whatever bytes can be read from: a file, or one that is inflated on the way."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; none at the end."""


class Within(io.BufferedReader):
    """A file that never makes room for more than it holds, whatever length its content claims."""

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes, or all that is left."""
        if size is not None and size > CHUNK:
            size = min(size, max(os.fstat(self.fileno()).st_size - self.tell(), 0))
        return super().read(size)


def memory_budget() -> int:
    """Bytes that one file may claim: IGDD_MEMORY_BUDGET, else `DEFAULT_BUDGET`."""
    text = os.environ.get(BUDGET_VARIABLE, "").strip()
    if not text:
        return DEFAULT_BUDGET
    if not text.isascii() or not text.isdigit() or int(text[:20]) == 0:
        raise InputError(
            f"{BUDGET_VARIABLE} is {text[:40]!r}; expected a whole number of bytes, e.g. 8000000000"
        )
    return int(text[:20])


def check_budget(claimed_bytes: int, path: Path | str, what: str) -> None:
    """Refuse a claim that exceeds the memory budget, before anything is allocated."""
    budget = memory_budget()
    if claimed_bytes > budget:
        raise InputError(
            f"{path}: {what} claims {claimed_bytes:.4g} bytes; expected at most {budget:.4g}; "
            f"if the file is sound, set {BUDGET_VARIABLE} to more"
        )


def resolve_inside(path: Path | str, roots: Sequence[Path | str]) -> Path:
    """Where a path lies, all symlinks followed, if that is inside one of the granted roots.

    A relative path is looked for below each root in turn. The answer keeps the file's own name (a
    DataLad file is a symlink to a hash, and its sidecar is found by its name), in a folder whose
    symlinks are resolved. Whatever leads outside the roots is refused.
    """
    grounds = [_resolve(root) for root in roots]
    wanted = Path(path)
    places = [wanted] if wanted.is_absolute() else [ground / wanted for ground in grounds]
    missing: InputError | None = None
    for place in places:
        try:
            target, folder = _resolve(place), _resolve(place.parent)
        except InputError as error:
            missing = error
            continue
        if any(target.is_relative_to(ground) for ground in grounds):
            inside = any(folder.is_relative_to(ground) for ground in grounds)
            return folder / place.name if inside and place.name not in ("", "..") else target
        missing = InputError(
            f"{path}: leads to {target}; expected a place inside "
            f"{', '.join(map(str, grounds))}; grant its folder with --data"
        )
    raise missing if missing is not None else InputError(f"{path}: no folder was granted")


def _resolve(path: Path | str) -> Path:
    try:
        return Path(path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be found ({_reason(error)}); expected an existing file or folder"
        ) from error


def _reason(error: BaseException) -> str:
    strerror = getattr(error, "strerror", None)
    return str(strerror or error or type(error).__name__)


def writable(folder: Path) -> None:
    """Make a folder for results, its parents too; refused where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{folder}: cannot hold results ({error.strerror}); expected a folder that may be "
            "written; give another --out"
        ) from error


@contextmanager
def opened(path: Path | str) -> Iterator[BinaryIO]:
    """A regular file, for reading bytes; what goes wrong while it is read is an `InputError`."""
    place = Path(path)
    try:
        if not place.is_file():
            raise InputError(f"{path}: is not there, or is no regular file; expected a file")
        with place.open("rb") as stream:
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{path}: the compressed content is damaged or cut short ({_reason(error)}); "
            "expected a complete file; copy it again"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({_reason(error)})") from error


@contextmanager
def opened_inflated(path: Path | str) -> Iterator[Readable]:
    """`opened`, inflated if the content (not the name) is gzip."""
    with opened(path) as stream:
        head = stream.read(2)
        stream.seek(0)
        if head != GZIP_MAGIC:
            yield stream
            return
        with gzip.GzipFile(fileobj=stream, mode="rb") as inflated:
            yield inflated


def is_gzip(path: Path | str) -> bool:
    """Whether a file's content (not its name) is gzip."""
    with opened(path) as stream:
        return stream.read(2) == GZIP_MAGIC


def read_head(path: Path | str, size: int) -> bytes:
    """First `size` bytes of a file's content, inflated if it is gzip; fewer if it is shorter."""
    with opened_inflated(path) as stream:
        return stream.read(size)


def read_bounded(path: Path | str, limit: int) -> bytes:
    """Whole content of a file of at most `limit` bytes."""
    with opened(path) as stream:
        return _all(stream, path, limit)


def read_bounded_gzip(path: Path | str, limit: int) -> bytes:
    """Whole content, inflated if it is gzip, of at most `limit` bytes; inflating stops there."""
    with opened_inflated(path) as stream:
        return _all(stream, path, limit)


def _all(stream: Readable, path: Path | str, limit: int) -> bytes:
    content = stream.read(limit + 1)
    if len(content) > limit:
        raise InputError(f"{path}: holds more than {limit} bytes; expected at most that")
    return content


def read_text(path: Path | str, limit: int = TEXT_LIMIT) -> str:
    """Text (UTF-8, with or without byte-order mark) of at most `limit` bytes."""
    try:
        return read_bounded(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {error.start} is not UTF-8 text; save the file as UTF-8"
        ) from error


def read_json(path: Path | str, limit: int = TEXT_LIMIT) -> dict[str, Any]:
    """A JSON object with finite numbers and no key twice; else an error that names the key."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key, value in pairs:
            if key in members:
                raise InputError(f"{path}: {key[:80]} stands there twice; expected each key once")
            members[key] = value
        return members

    text = read_text(path, limit)
    try:
        content = json.loads(text, object_pairs_hook=unique)
        if not isinstance(content, dict):
            raise InputError(f"{path}: holds a {type(content).__name__}; expected a JSON object")
        _check_finite(content, path, "")
    except RecursionError as error:
        raise InputError(f"{path}: JSON is nested too deeply; expected a flat object") from error
    except ValueError as error:
        raise InputError(f"{path}: is not valid JSON ({str(error)[:120]})") from error
    return content


def _check_finite(value: Any, path: Path | str, key: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{path}: {key} is {value}; expected a finite number or no {key} at all")
    if isinstance(value, dict):
        for name, member in value.items():
            _check_finite(member, path, f"{key}.{name}" if key else name)
    if isinstance(value, list):
        for position, member in enumerate(value):
            _check_finite(member, path, f"{key}[{position}]")


def check_size(path: Path | str, offset: int, claimed_bytes: int) -> None:
    """Refuse an uncompressed file whose size is not what its header says, before allocating."""
    with opened(path) as stream:
        found = os.fstat(stream.fileno()).st_size
    if found != offset + claimed_bytes:
        raise InputError(
            f"{path}: holds {found} bytes; expected {offset} of header and {claimed_bytes} of "
            "samples; the file is cut short or its header is wrong; copy or convert it again"
        )


def check_deflated(path: Path | str, claimed_bytes: int) -> None:
    """Refuse a gzip file too short to inflate to what its header says, before allocating."""
    with opened(path) as stream:
        found = os.fstat(stream.fileno()).st_size
    if claimed_bytes > found * DEFLATE_LIMIT:
        raise InputError(
            f"{path}: {found} bytes of gzip cannot hold the {claimed_bytes} bytes of samples that "
            "the header claims; the file is cut short or its header is wrong; copy it again"
        )


def allocate(count: int, kind: np.dtype[Any], path: Path | str, what: str) -> np.ndarray:
    """Room for `count` samples within the memory budget."""
    check_budget(count * kind.itemsize, path, what)
    try:
        return np.empty(count, kind)
    except MemoryError as error:
        raise InputError(
            f"{path}: {what} needs {count * kind.itemsize} bytes, which this machine does not have"
        ) from error


def fill(
    stream: Readable,
    stored: np.dtype[Any],
    samples: np.ndarray,
    path: Path | str,
    scaling: tuple[float, float] | None = None,
) -> None:
    """Fill `samples` (n,) with the rest of a stream, which must hold exactly n stored samples.

    scaling (slope, intercept) is applied in double precision. Memory beyond `samples` is one chunk.
    """
    step = CHUNK // stored.itemsize
    for start in range(0, samples.size, step):
        part = samples[start : start + step]
        chunk = stream.read(part.size * stored.itemsize)
        if len(chunk) != part.size * stored.itemsize:
            found = start + len(chunk) // stored.itemsize
            raise InputError(
                f"{path}: ends after {found} samples; expected {samples.size}; copy it again"
            )
        _convert(np.frombuffer(chunk, stored), part, path, scaling)
    if stream.read(1):
        raise InputError(
            f"{path}: holds more than the {samples.size} samples of its header; "
            "expected exactly as many; the header is wrong, or something was appended"
        )


def _convert(
    values: np.ndarray,
    part: np.ndarray,
    path: Path | str,
    scaling: tuple[float, float] | None,
) -> None:
    try:
        with np.errstate(over="raise", invalid="ignore"):
            if scaling is None:
                part[...] = values
            else:
                part[...] = values.astype(np.float64) * scaling[0] + scaling[1]
    except FloatingPointError as error:
        raise InputError(
            f"{path}: a value is beyond single precision (3.4e38); expected plausible samples"
        ) from error
