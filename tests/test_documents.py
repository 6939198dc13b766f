"""The documents tell the truth: their examples run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from igdd.flags import FLAGS
from igdd.study import check_study

PROJECT = Path(__file__).resolve().parents[1]
FILE_BLOCK = re.compile(r"^`((?:src|tests)/[\w/.]+)`\n\n```python\n(.*?)^```", re.M | re.S)
PLAIN_BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)


@pytest.mark.integration
def test_the_examples_of_contributing_run(tmp_path):
    shutil.copytree(PROJECT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "test_contract.py"):
        shutil.copy(PROJECT / "tests" / name, tmp_path / "tests" / name)
    blocks = FILE_BLOCK.findall((PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert len(blocks) == 8  # a file and its test for each of metric, model, modality, reader
    for name, code in blocks:
        (tmp_path / name).write_text(code, encoding="utf-8")
    sources = [name for name, _ in blocks if name.startswith("src")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "--doctest-modules",
         "-p", "no:cacheprovider", "-k", "hot_share or washout or attenuation or box_text",
         "tests", *sources],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for declared in ("metrics-hot_share", "models-washout", "modalities-attenuation", "box_text"):
        assert f"{declared}] PASSED" in done.stdout


def test_the_ten_lines_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = PLAIN_BLOCK.findall((PROJECT / "README.md").read_text(encoding="utf-8"))
    assert len(blocks) == 1
    assert len(blocks[0].strip().splitlines()) <= 10
    done = subprocess.run(
        [sys.executable, "-c", blocks[0]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_study_of_the_documentation_is_valid():
    text = (PROJECT / "docs/study.md").read_text(encoding="utf-8")
    block, *further = re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
    study = check_study(tomllib.loads("\n".join([block, *further])), Path("docs/study.md"))
    assert {entry.source.rule for entry in study.document.region if entry.source} == {
        "label",
        "sphere",
        "above_percent",
        "shell",
        "difference",
    }


def test_the_listed_exceptions_name_flags_that_exist():
    table = (PROJECT / "docs/exceptions.md").read_text(encoding="utf-8")
    named = re.findall(r"\| `(\w+)` \| `", table)
    assert len(named) == 6
    assert set(named) <= set(FLAGS)
