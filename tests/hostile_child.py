"""Measures in a process of its own what reading a file costs: python hostile_child.py < calls.

Each call is (name, door, words). The answer to each is how it ended, the seconds, and the bytes of
peak memory above what the process held before. The first call of a door warms it up: imports.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 5.0  # s, after which a call counts as hanging


class Hangs(BaseException):
    """Not an Exception, so that nothing swallows it."""


def inspect(path: str) -> str:
    from igdd.stages.inspect import inspect as look

    found = look(Path(path))
    wrong = [row.get("problem") or row.get("suv_problem") for row in found["series"]]
    return json.dumps([*found["problems"], *wrong])


def suv(path: str, mask: str | None = None) -> str:
    from igdd.stages.suv import suv as standardised

    standardised(Path(path), None if mask is None else Path(mask))
    return ""


def check(path: str) -> str:
    from igdd.stages.plan import plan
    from igdd.study import load_study

    plan(load_study(Path(path)))
    return ""


def session(path: str) -> str:
    """What `run` does with each session: hashing its inputs here, computing it in a worker."""
    from igdd.provenance import hashes
    from igdd.stages.plan import plan
    from igdd.stages.session import measured
    from igdd.study import load_study

    study = load_study(Path(path))
    for one in plan(study):
        hashes(one.paths, study.roots)
        measured(one)
    return ""


def series(path: str) -> str:
    from igdd import catalog

    catalog.read_series(Path(path))
    return ""


def regions(path: str) -> str:
    from hostile_files import grid
    from igdd import catalog

    catalog.read_regions(Path(path), grid())
    return ""


def table(path: str) -> str:
    from igdd import catalog

    catalog.read_table(Path(path), "ex_vivo")
    return ""


def command(*words: str) -> str:
    """The command line; its exit code, and what it said on standard error."""
    from igdd.cli import main

    said, sys.argv = io.StringIO(), ["igdd", *words]
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            main()
    except SystemExit as stop:
        return f"exit {stop.code or 0}: {said.getvalue()}"
    return f"exit 0: {said.getvalue()}"


DOORS: dict[str, Callable[..., str]] = {
    one.__name__: one for one in (inspect, suv, check, session, series, regions, table, command)
}


def memory(field: str) -> int:
    """Bytes that this process holds (VmRSS) or has held at most (VmHWM).

    Not resource.getrusage: its maximum survives exec, so that it begins at the parent's.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(field)


def measured(door: str, words: list[str]) -> dict[str, Any]:
    from igdd.errors import IgddError

    def hang(*_: object) -> None:
        raise Hangs

    gc.collect()
    gc.freeze()  # what is loaded by now stays: the next collection need not look at it again
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before, begun = memory("VmRSS"), time.perf_counter()
    signal.signal(signal.SIGALRM, hang)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        answer = {"end": "done", "message": DOORS[door](*words)}
    except IgddError as error:
        answer = {"end": "refused", "message": str(error)}
    except Hangs:
        answer = {"end": "hangs", "message": traceback.format_exc(limit=-6)}
    except Exception:  # noqa: BLE001 - whatever else comes out is what is looked for
        answer = {"end": "breaks", "message": traceback.format_exc(limit=-8)}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    answer["seconds"] = time.perf_counter() - begun
    answer["bytes"] = memory("VmHWM") - before
    return answer


def main() -> None:
    answers = {}
    for name, door, words in json.load(sys.stdin):
        tries = [measured(door, words)]
        while tries[-1]["seconds"] > 0.5 and len(tries) < 3 and tries[-1]["end"] != "hangs":
            tries.append(measured(door, words))  # a busy machine is not the file's fault
        answers[name] = min(tries, key=lambda one: float(one["seconds"]))
        answers[name]["bytes"] = max(one["bytes"] for one in tries)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
