"""The command line: exit codes, JSON, and errors without a trace."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest

from igdd.cli_app import plain


def igdd(*words: str, cwd=None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "igdd", *words],
        capture_output=True, text=True, check=False, cwd=cwd,
    )  # fmt: skip


COMMANDS = [
    "demo",
    "inspect",
    "new",
    "check",
    "run",
    "report",
    "diff",
    "list",
    "suv",
    "tacs",
    "concentration",
    "t1",
    "fit",
    "map",
    "occupancy",
    "nca",
    "features",
    "filter",
    "together",
    "dose",
    "dose-map",
    "voxel-s",
    "individual",
    "release",
    "ivivc",
    "shedding",
    "retention",
    "delivery",
    "uptake-model",
    "pbpk",
    "five-state",
    "interstitium",
    "scale",
    "conformance",
]  # DESIGN, section 5


def test_help_names_every_command():
    words = igdd("--help")
    assert words.returncode == 0
    for command in COMMANDS:
        assert command in words.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_offers_json(command):
    words = igdd(command, "--help")
    assert words.returncode == 0
    assert "--json" in words.stdout


@pytest.mark.integration
def test_help_takes_at_most_a_third_of_a_second():
    seconds = []
    for _ in range(7):
        started = time.perf_counter()
        igdd("--help")
        seconds.append(time.perf_counter() - started)
    assert min(seconds) <= 0.3  # the target of the design, for a machine that is not busy


def test_the_version_is_the_packages():
    import igdd as package

    assert igdd("--version").stdout == f"igdd {package.__version__}\n"


def test_no_command_is_wrong_usage():
    assert igdd("frobnicate").returncode == 2


def test_a_missing_study_is_one_line_and_exit_2(tmp_path):
    done = igdd("check", str(tmp_path / "none.toml"))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "none.toml" in done.stderr


def test_check_says_what_is_there(small_study):
    done = igdd("check", str(small_study), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sessions"] == 4


@pytest.mark.parametrize("command", ["check", "inspect"])
def test_check_and_inspect_import_no_heavy_library(small_study, command):
    code = (
        "import sys\nfrom igdd.cli import app\n"
        f"sys.argv = ['igdd', {command!r}, {str(small_study.parent)!r}]\n"
        "try:\n    app()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "heavy = {'statsmodels', 'numba', 'SimpleITK', 'matplotlib', 'altair'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "kind", ["readers", "modalities", "metrics", "comparisons", "flags", "models"]
)
def test_list_is_json(kind):
    found = json.loads(igdd("list", kind, "--json").stdout)
    assert all(isinstance(text, str) and text for text in found.values())


def test_the_schema_is_json():
    assert "properties" in json.loads(igdd("list", "schema").stdout)


def test_demo_overwrites_nothing(tmp_path):
    (tmp_path / "study.toml").write_text("schema = 1")
    done = igdd("demo", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "nothing is overwritten" in done.stderr


@pytest.mark.integration
def test_diff_of_a_result_with_itself_is_empty(small_study, tmp_path):
    done = igdd("run", str(small_study), "--out", str(tmp_path / "a"), "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["sessions"] == 4
    assert facts["headline"]
    same = igdd("diff", str(tmp_path / "a"), str(tmp_path / "a"), "--json")
    assert same.returncode == 0
    assert json.loads(same.stdout) == []
    again = igdd("report", str(tmp_path / "a"), "--json")
    assert again.returncode == 0, again.stderr
    whole = (tmp_path / "a" / "report.html").read_bytes()
    shutil.rmtree(tmp_path / "a" / "sessions")
    lost = igdd("report", str(tmp_path / "a"))
    assert lost.returncode == 2
    assert "run the study again" in lost.stderr
    assert (tmp_path / "a" / "report.html").read_bytes() == whole


@pytest.mark.parametrize("command", ["run", "demo"])
def test_results_into_a_file_are_one_line_and_exit_2(small_study, tmp_path, command):
    (tmp_path / "file").write_text("")
    words = [command, "--out", str(tmp_path / "file")]
    done = igdd(*words, *([str(small_study)] if command == "run" else []))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "expected a folder that may be written; give another --out" in done.stderr


def test_an_interrupted_command_says_that_it_goes_on_and_exits_1(tmp_path):
    command = [sys.executable, "-m", "igdd", "demo", "--out", str(tmp_path / "demo")]
    started = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("demo/**/*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=120)
    assert started.returncode == 1
    assert "stopped; a run goes on where it was with the same command" in said
    assert "Traceback" not in said


def test_json_holds_no_number_that_json_does_not_know():
    assert plain({"low": 0.1, "high": float("inf"), "sd": float("nan")}) == {
        "low": 0.1, "high": None, "sd": None,
    }  # fmt: skip
