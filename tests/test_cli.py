"""The command line: exit codes, JSON, and errors without a trace."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest


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
