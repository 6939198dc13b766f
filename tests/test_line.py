"""The line: the same study gives the same bytes, however it is run, stopped and resumed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from igdd.errors import InputError, StudyError
from igdd.line import run, summary
from igdd.results import COLUMNS, KEY
from igdd.study import load_study

TABLES = ("measurements.csv", "measurements.parquet", "findings.csv", "provenance.json")
REPORTS = ("report.html", "report.pdf")


def results_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (*TABLES, *REPORTS)}


@pytest.fixture(scope="module")
def uninterrupted(small_study, tmp_path_factory):
    """The results of one run with one worker."""
    out = tmp_path_factory.mktemp("uninterrupted")
    run(small_study, out, workers=1)
    return out


def test_the_table_has_the_columns_and_a_key(uninterrupted, small_study):
    import pandas as pd

    table = pd.read_parquet(uninterrupted / "measurements.parquet")
    assert tuple(table.columns) == COLUMNS
    assert not table.duplicated(list(KEY)).any()
    assert set(table["subject"]) == {entry.id for entry in load_study(small_study).document.subject}


@pytest.mark.integration
def test_one_and_two_workers_give_the_same_bytes(small_study, uninterrupted, tmp_path):
    run(small_study, tmp_path, workers=2)
    assert results_of(tmp_path) == results_of(uninterrupted)


@pytest.mark.integration
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_killed_run_resumes_to_the_same_bytes(small_study, uninterrupted, tmp_path, seed):
    command = [sys.executable, "-m", "igdd", "run", str(small_study), "--out", str(tmp_path)]
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    time.sleep(random.Random(seed).uniform(0.5, 6.0))
    started.send_signal(signal.SIGKILL)
    started.wait()
    deadline = time.monotonic() + 10
    while _children_alive(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _children_alive(str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert results_of(tmp_path) == results_of(uninterrupted)


def _children_alive(text: str) -> bool:
    """Whether a process still names the folder, or is a worker whose parent is gone."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace")
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if text in words and "igdd" in words:
            return True
        if "multiprocessing.spawn" in words and parent == 1:
            return True
    return False


def test_a_second_run_keeps_the_sessions(small_study, uninterrupted):
    stamp = {
        path: path.stat().st_mtime_ns for path in uninterrupted.glob("sessions/*/session.json")
    }
    before = results_of(uninterrupted)
    run(small_study, uninterrupted, workers=1)
    assert stamp == {path: path.stat().st_mtime_ns for path in stamp}
    assert results_of(uninterrupted) == before


@pytest.mark.integration
def test_a_changed_input_computes_its_session_again(small_study, uninterrupted, tmp_path):
    shutil.copytree(small_study.parent, tmp_path / "study")
    shutil.copytree(uninterrupted, tmp_path / "out")
    study = tmp_path / "study" / small_study.name
    text = study.read_text()
    first = load_study(study).document.subject[0].id
    study.write_text(text.replace(f'id = "{first}"', f'id = "{first}"\nspecies = "x"', 1)
                     if 'species = "human"' not in text
                     else text.replace('species = "human"', 'species = "x"', 1))  # fmt: skip
    stamp = {
        path.parent.name: path.stat().st_mtime_ns
        for path in (tmp_path / "out").glob("sessions/*/session.json")
    }
    run(study, tmp_path / "out", workers=1)
    changed = {
        path.parent.name
        for path in (tmp_path / "out").glob("sessions/*/session.json")
        if path.stat().st_mtime_ns != stamp[path.parent.name]
    }
    assert changed == {name for name in stamp if name.startswith(f"{first}_")}


def test_two_runs_into_one_folder_are_refused(small_study, tmp_path):
    import fcntl

    with (tmp_path / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(StudyError, match="another run is writing"):
            run(small_study, tmp_path)


def test_a_scan_that_cannot_be_read_stops_the_run_and_is_named(small_study, tmp_path):
    shutil.copytree(small_study.parent, tmp_path / "study")
    image = next((tmp_path / "study").rglob("*_pet.nii.gz"))
    image.write_bytes(image.read_bytes()[:200])
    with pytest.raises(InputError, match=image.name.split(".")[0]):
        run(tmp_path / "study" / small_study.name, tmp_path / "out", workers=1)
    assert not (tmp_path / "out" / "report.html").exists()
    assert "stopped" in (tmp_path / "out" / "run.log").read_text()


@pytest.mark.integration
def test_an_exclusion_stands_in_the_report_with_its_reason(small_study, tmp_path):
    shutil.copytree(small_study.parent, tmp_path / "study")
    study = tmp_path / "study" / small_study.name
    one = load_study(study).document.scan[0]
    with study.open("a") as stream:
        stream.write(
            f'\n[[exclude]]\nsubject = "{one.subject}"\nsession = "{one.session}"\n'
            'reason = "the patient moved"\n'
        )
    results = run(study, tmp_path / "out", workers=1)
    table = results.measurements
    assert not ((table.subject == one.subject) & (table.session == one.session)).any()
    assert "the patient moved" in (tmp_path / "out" / "report.html").read_text()


def test_the_summary_counts(small_study, uninterrupted):
    results = run(small_study, uninterrupted, workers=1)
    facts = summary(results)
    assert facts["sessions"] == len(load_study(small_study).document.scan)
    assert facts["measurements"] == len(results.measurements)


@pytest.mark.integration
def test_a_plain_script_needs_no_main_guard(small_study, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import igdd\n"
        f"results = igdd.run({str(small_study)!r}, {str(tmp_path / 'out')!r}, workers=1)\n"
        "print(len(results.measurements))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


@pytest.mark.integration
def test_a_pattern_of_regions_that_fits_none_is_a_warning_in_the_report(small_study, tmp_path):
    shutil.copytree(small_study.parent, tmp_path / "study")
    study = tmp_path / "study" / small_study.name
    with study.open("a") as stream:
        stream.write('\n[[region]]\nname = "leison_*"\nkind = "lesion"\n')
    results = run(study, tmp_path / "out", workers=1)
    (warning,) = summary(results)["warnings"]
    assert "'leison_*' fits no region of any session; there are: " in warning
    assert "leison_*" in (tmp_path / "out" / "report.html").read_text()
