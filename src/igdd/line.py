"""The line: a study in, its results out; the stages in order, and nothing else.

Sessions are computed in spawned workers with one thread each, so that any number of workers gives
the same bytes. Each is written under a temporary name and renamed; a killed run resumes.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from igdd.errors import InputError, StudyError
from igdd.io.bounded import writable
from igdd.provenance import code, hashes, sha256_text, versions
from igdd.results import Results
from igdd.stages import release_study
from igdd.stages.methods import together
from igdd.stages.plan import SessionPlan, plan
from igdd.study import Study, canonical, load_study

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext

Progress = Callable[[str, int, int], None]

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
log = logging.getLogger("igdd")


def run(
    study: str | Path | Study,
    out: str | Path | None = None,
    *,
    data: tuple[str | Path, ...] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> Results:
    """Run a study and write its results; sessions that are already there and unchanged are kept.

    Parameters
    ----------
    study : path of a study.toml, its folder, or a checked Study
    out : folder for the results; default `results` beside the study
    data : further folders that the study may read from
    workers : number of processes; default all cores
    progress : called with (what, done, total)
    """
    if not isinstance(study, Study):
        study = load_study(study, tuple(data))
    folder = Path(out) if out is not None else study.path.resolve().parent / "results"
    writable(folder)
    with _locked(folder), _logged(folder):
        plans = plan(study)
        release_study.compute(study, folder)
        compute_sessions(plans, study, folder, workers=workers, progress=progress)
        if progress is not None:
            progress("report", 0, 1)
        results = gather(study, plans, folder)
        write(results, folder)
        if progress is not None:
            progress("report", 1, 1)
    return results


def compute_sessions(
    plans: tuple[SessionPlan, ...],
    study: Study,
    folder: Path,
    *,
    workers: int | None,
    progress: Progress | None,
) -> None:
    """Compute every session whose result is missing or no longer fits its inputs."""
    from igdd.io import stored
    from igdd.stages import session

    store = folder / "sessions"
    store.mkdir(exist_ok=True)
    _sweep(store, {one.folder for one in plans})
    todo = []
    for one in plans:
        inputs = hashes(one.paths, study.roots)
        key = sha256_text(one.document + canonical(inputs) + canonical(versions()) + code())
        if stored.stored_key(store / one.folder) != key:
            todo.append((one, key, inputs))
    done = len(plans) - len(todo)
    log.info("%d sessions, %d already there", len(plans), done)
    if progress is not None:
        progress("sessions", done, len(plans))
    if not todo:
        return
    count = min(len(todo), workers or os.cpu_count() or 1)
    if count < 1:
        raise InputError(f"--workers is {workers}; expected 1 or more")
    with _pool(count) as pool:
        with _nameless_main():
            tasks = {
                pool.submit(session.compute, one, store, key, inputs): one
                for one, key, inputs in todo
            }
        try:
            for task in as_completed(tasks):
                seconds = task.result()
                done += 1
                log.info("session %s took %.1f s", tasks[task].folder, seconds)
                if progress is not None:
                    progress("sessions", done, len(plans))
        except BrokenProcessPool as error:
            raise InputError(
                "a worker process ended without a word (out of memory, or killed); expected all to "
                "finish; run the same command again, with fewer --workers if memory is short"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def gather(study: Study, plans: tuple[SessionPlan, ...], folder: Path) -> Results:
    """The results of a study from its stored sessions."""
    import pandas as pd

    from igdd.io import stored
    from igdd.results import COLUMNS, KEY
    from igdd.stages.cautions import cautions
    from igdd.stages.compare import compare
    from igdd.stages.course import follow

    sessions = [stored.load(folder / "sessions" / one.folder) for one in plans]
    table = pd.concat([one.measurements for one in sessions], ignore_index=True)[list(COLUMNS)]
    kinds = {name: kind for one in sessions for name, kind in one.kinds.items()}
    followed, curves = follow(table, kinds, study.document)
    if len(followed):
        table = pd.concat([table, followed], ignore_index=True)
    table = table.sort_values(list(KEY), kind="stable", ignore_index=True)
    # Arithmetic leaves NaN of either sign, and not the same one each time: bytes would differ.
    numbers = table.select_dtypes("number").columns
    table[numbers] = table[numbers].mask(table[numbers].isna(), float("nan"))
    inputs = dict(hashes(release_study.paths(study), study.roots))
    inputs.update(item for one in sessions for item in one.inputs.items())
    return Results(
        study=study.raw,
        measurements=table,
        findings=compare(table, kinds, study.document.compare),
        panels=tuple(panel for one in sessions for panel in one.panels),
        fits=(*(fit for one in sessions for fit in one.fits), *curves),
        releases=release_study.load(study.document, folder),
        methods=together(
            [
                (f"{one.subject.id} ({one.name})", made.methods)
                for one, made in zip(plans, sessions, strict=True)
            ]
        )
        + release_study.methods(study.document),
        provenance={
            "study_sha256": sha256_text(canonical(study.raw)),
            "study": study.raw,
            "inputs": dict(sorted(inputs.items())),
            "versions": versions(),
            "kinds": dict(sorted(kinds.items())),
            "warnings": cautions(table, kinds, study.document),
        },
    )


def write(results: Results, folder: Path) -> None:
    """Tables, provenance and reports of a study, each renamed into place when whole."""
    from igdd.report import write_report
    from igdd.report.tables import write_tables

    draft = folder / ".draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    write_tables(results, draft)
    (draft / "provenance.json").write_text(
        json.dumps(
            results.provenance, indent=1, sort_keys=True, default=lambda value: value.isoformat()
        )
        + "\n",
        encoding="utf-8",
    )
    write_report(results, draft)
    for item in sorted(draft.iterdir()):
        item.replace(folder / item.name)
    draft.rmdir()


def _sweep(store: Path, wanted: set[str]) -> None:
    """Remove what a killed run left half written, and sessions that the study no longer has."""
    for item in store.iterdir():
        if item.is_dir() and item.name not in wanted:
            shutil.rmtree(item)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Spawned workers with one thread each, which end when their parent does."""
    import multiprocessing

    from igdd.stages.session import follow_parent

    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    context: SpawnContext = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(
            workers, mp_context=context, initializer=follow_parent, initargs=(os.getpid(),)
        ) as pool:
            yield pool
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _nameless_main() -> Iterator[None]:
    """Keep spawned workers from importing the caller's script again.

    The work is igdd's own, so a plain script may call `run` without a `__main__` guard.
    """
    caller = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = caller


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the results folder for this process, until it ends in whatever way."""
    with (folder / ".lock").open("a+b") as stream:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StudyError(
                f"{folder}: another run is writing here; expected one at a time; "
                "wait for it, or give another --out"
            ) from error
        yield


@contextmanager
def _logged(folder: Path) -> Iterator[None]:
    """Keep the run's log beside its results: start time, host, sessions and their seconds."""
    import platform

    handler = logging.FileHandler(folder / "run.log", mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    started = time.monotonic()
    try:
        log.info("started on %s", platform.node())
        yield
        log.info("finished after %.1f s", time.monotonic() - started)
    except Exception as error:
        log.error("stopped: %s", error)
        raise
    finally:
        log.removeHandler(handler)
        handler.close()


def summary(results: Results) -> Mapping[str, Any]:
    """What a run found, in numbers for the command line."""
    from igdd.results import COURSE

    visits = results.measurements[["subject", "session"]]
    visits = visits[visits["session"] != COURSE]
    flagged = results.measurements["flags"].astype(bool)
    return {
        "sessions": int(visits.drop_duplicates().shape[0]),
        "measurements": len(results.measurements),
        "flagged": int(flagged.sum()),
        "findings": [str(text) for text in results.findings["sentence"]],
        "warnings": list(results.provenance.get("warnings", ())),
    }


def rewrite(folder: Path) -> Path:
    """Write the report of a finished run again from its folder; the path of the HTML."""
    import pandas as pd

    from igdd.document import document_model
    from igdd.io import stored
    from igdd.report import write_report
    from igdd.results import COURSE
    from igdd.stages.course import follow

    try:
        provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        table = pd.read_parquet(folder / "measurements.parquet")
        findings = pd.read_csv(folder / "findings.csv", keep_default_na=True)
        measured = table[table["session"] != COURSE]
        visits = measured[["subject", "session"]].drop_duplicates()
        visits = visits.sort_values(["subject", "session"])
        sessions = [
            stored.load(folder / "sessions" / f"{subject}_{name}")
            for subject, name in visits.itertuples(index=False)
        ]
        document = document_model().model_validate(provenance["study"])
        releases = release_study.load(document, folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder}: not the results of a finished run ({error}); expected provenance.json, "
            "measurements.parquet, findings.csv and sessions; run the study again"
        ) from error
    _, curves = follow(measured, provenance["kinds"], document)
    results = Results(
        study=provenance["study"],
        measurements=table,
        findings=findings,
        panels=tuple(panel for one in sessions for panel in one.panels),
        fits=(*(fit for one in sessions for fit in one.fits), *curves),
        releases=releases,
        methods=together(
            [
                (f"{subject} ({name})", made.methods)
                for (subject, name), made in zip(
                    visits.itertuples(index=False), sessions, strict=True
                )
            ]
        )
        + release_study.methods(document),
        provenance=provenance,
    )
    html, _ = write_report(results, folder)
    return html
