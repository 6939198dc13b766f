"""Decoding of compressed slices outside this process, whose decoder may end it.

GDCM reads the JPEG Lossless and JPEG 2000 files of hospital archives, but some broken ones make it
end the process instead of raising. A child process decodes; if it dies, the file is named. RLE and
JPEG-LS have decoders that raise, and stay in this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from igdd.errors import InputError
from igdd.headers import broken

if TYPE_CHECKING:
    from pydicom import Dataset

RLE = "1.2.840.10008.1.2.5"
# Decoders that raise on whatever they are given, by transfer syntax.
SAFE = {
    RLE: "pydicom",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
}
# Start of frame: every JPEG process but tables (C4), reserved (C8) and arithmetic (CC); JPEG-LS.
FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
# No honest slice takes longer, in s, or the child more memory, in bytes.
PATIENCE = 60.0
CHILD_MEMORY = 4 * 2**30
REMEDY = "expected what pydicom can decode; convert it, e.g. with dcmdjpeg"


def failures() -> tuple[type[Exception], ...]:
    """All that reading and decoding a broken file raises in this process."""
    return (*broken(), MemoryError, OSError, RuntimeError)


def check_stream(content: bytes, rows: int, columns: int, path: Path) -> None:
    """Refuse a JPEG stream whose own size is not the header's: a decoder would believe it."""
    start = content.find(b"\xff\xd8\xff")
    siz = content.find(b"\xff\x4f\xff\x51")
    found: tuple[int, int] | None = None
    if start >= 0 and (siz < 0 or start < siz):
        found = _frame_size(content, start + 2)
    elif siz >= 0 and len(content) >= siz + 24:
        right, bottom, left, top = struct.unpack_from(">4L", content, siz + 8)
        found = bottom - top, right - left
    if found != (rows, columns):
        shown = "none" if found is None else f"{found[0]} x {found[1]}"
        raise _refusal(path, f"the stream's own size is {shown}, the header's {rows} x {columns}")


def _frame_size(content: bytes, place: int) -> tuple[int, int] | None:
    """Rows and columns of the frame header of a JPEG or JPEG-LS stream, from its first marker."""
    while place + 9 <= len(content) and content[place] == 0xFF:
        marker, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4], "big")
        if marker == 0xFF:  # fill byte
            place += 1
        elif marker in FRAME_MARKERS:
            height, width = struct.unpack_from(">2H", content, place + 5)
            return int(height), int(width)
        else:
            place += 2 + length
    return None


def decode_here(header: Dataset, syntax: str, path: Path) -> np.ndarray:
    """Stored values of a slice whose decoder can be trusted to raise."""
    from pydicom.pixels.utils import pixel_array

    try:
        return np.asarray(pixel_array(header, raw=True, decoding_plugin=SAFE[syntax]))
    except failures() as error:
        raise _refusal(path, f"{type(error).__name__}: {str(error)[:200]}") from error


def decode_apart(paths: Sequence[Path]) -> Iterator[np.ndarray]:
    """Stored values of each file in turn, decoded by one child process."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "igdd.io.dicom_decode"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as child:
        try:
            if child.stdin is None or child.stdout is None:
                raise InputError("the decoder's pipes did not open; expected them to; try again")
            with contextlib.suppress(BrokenPipeError):  # said below, by the file
                child.stdin.write(json.dumps([str(path) for path in paths]).encode())
                child.stdin.close()
            for path in paths:
                watch = threading.Timer(PATIENCE, child.kill)
                watch.start()
                try:
                    yield _answer(child.stdout, path)
                finally:
                    watch.cancel()
        finally:
            child.kill()


def _answer(stream: IO[bytes], path: Path) -> np.ndarray:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise _refusal(path, "its decoder died")
    said = json.loads(line)
    if "error" in said:
        raise _refusal(path, said["error"])
    kind = np.dtype(said["kind"])
    content = stream.read(kind.itemsize * int(np.prod(said["shape"])))
    if len(content) < kind.itemsize * int(np.prod(said["shape"])):
        raise _refusal(path, "its decoder died")
    return np.frombuffer(content, kind).reshape(said["shape"])


def _refusal(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: the compressed pixels cannot be decoded ({reason}); {REMEDY}")


def _serve() -> None:
    """The child: decode what standard input lists, and answer on standard output."""
    import warnings

    from pydicom import dcmread
    from pydicom.pixels.utils import pixel_array

    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (CHILD_MEMORY, CHILD_MEMORY))
    warnings.simplefilter("ignore")  # the parent has read and judged the header
    out = sys.stdout.buffer
    for path in json.load(sys.stdin):
        try:
            pixels = np.ascontiguousarray(pixel_array(dcmread(path, force=True), raw=True))
        except failures() as error:
            reason = f"{type(error).__name__}: {str(error)[:200]}"
            out.write(json.dumps({"error": reason}).encode() + b"\n")
            out.flush()
            return
        said = {"shape": pixels.shape, "kind": pixels.dtype.str}
        out.write(json.dumps(said).encode() + b"\n" + pixels.tobytes())
        out.flush()


if __name__ == "__main__":
    _serve()
