"""Hostile files through every door: refused by the project's own errors, at once, in little memory.

What each reader does with mutated files stands in its own tests; here are the doors.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from hostile_files import (
    ESCAPES,
    IRREGULAR,
    REGIONS,
    SERIES,
    SIDECAR,
    STUDIES,
    TABLES,
    sound,
    study_text,
)

pytestmark = pytest.mark.integration

CHILD = Path(__file__).with_name("hostile_child.py")
# DESIGN.md, section 10, and the issue: beyond what the same call on a sound file costs.
SECONDS = 1.0
BYTES = 200e6
HEAVY = ("statsmodels", "numba", "SimpleITK")
# The doors that read a file of a kind, and the words that name it there.
PET_DOORS = ("inspect", "suv", "series", "session")
REGION_DOORS = ("suv", "regions", "session")
TABLE_DOORS = ("table", "session")
STUDY_DOORS = ("check", "session")

Calls = list[tuple[str, str, list[str]]]


def igdd(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "igdd", *map(str, words)],
        capture_output=True, text=True, check=False, cwd=cwd, timeout=120,
    )  # fmt: skip


def measured(calls: Calls) -> dict[str, Any]:
    """The answers of a process of its own."""
    done = subprocess.run(
        [sys.executable, str(CHILD)],
        input=json.dumps(calls), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return sound(tmp_path_factory.mktemp("hostile"))


def study_of(folder: Path, name: str, **entries: str) -> str:
    path = folder / f"{name}.study.toml"
    path.write_text(study_text(**entries))
    return str(path)


def irregular(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    """Pipes, devices and folders under the names of files."""
    names = [f"{kind}{suffix}" for kind in IRREGULAR for suffix in suffixes]
    for name in names:
        IRREGULAR[name.split("_")[0].split(".")[0]](folder / name, folder)
    return names


def calls_for(folder: Path, door: str, name: str, kind: str) -> list[str]:
    """The words that lead a door to a file."""
    if door == "session":
        entries = {
            "series": {"path": name}, "regions": {"regions": name},
            "table": {"path": name, "modality": "ex_vivo"},
        }[kind]  # fmt: skip
        return [study_of(folder, name, **entries)]
    if door == "suv" and kind == "regions":
        return [str(folder / "pet"), str(folder / name)]
    return [str(folder / name)]


KINDS = {
    "series": (PET_DOORS, SERIES, ("_pet.nii", ".dcm"), ("pet", "image_pet.nii.gz")),
    "regions": (
        REGION_DOORS, REGIONS, ("_dseg.nii", ".nrrd", "_seg.dcm"),
        ("regions_dseg.nii.gz", "regions.nrrd", "seg.dcm", "structures.dcm"),
    ),
    "table": (TABLE_DOORS, TABLES, (".tsv", ".xlsx"), ("table.tsv", "table.xlsx")),
}  # fmt: skip
IRREGULAR_NAMES = {
    kind: [f"{what}{suffix}" for what in IRREGULAR for suffix in suffixes]
    for kind, (_, _, suffixes, _) in KINDS.items()
}


@pytest.fixture(scope="module")
def answers(folder) -> dict[str, Any]:
    """How every door answered to every file: "door file" -> end, message, seconds, bytes."""
    calls: Calls = []
    for kind, (doors, files, suffixes, harmless) in KINDS.items():
        for name, write in files.items():
            write(folder / name, folder)
        irregular(folder, suffixes)
        for name in [*files, *IRREGULAR_NAMES[kind]]:
            if name.endswith((".nii", ".nii.gz")) and kind == "series":
                (folder / f"{name.split('.')[0]}.json").write_text(json.dumps(SIDECAR))
        for door in doors:
            for name in [*harmless, *files, *IRREGULAR_NAMES[kind]]:
                words = calls_for(folder, door, name, kind)
                calls.append((f"{door} {name}", door, words))
    return measured([*calls, *_study_calls(folder)])


def _study_calls(folder: Path) -> Calls:
    calls: Calls = []
    for name, text in STUDIES.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    for name, relative in ESCAPES.items():
        (folder / f"path_{name}.toml").write_text(study_text(path=relative))
        (folder / f"regions_{name}.toml").write_text(study_text(regions=relative))
    outside = folder.parent / "secret"
    sound(outside)
    (folder / "door").symlink_to(outside)
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "inside_out").mkdir()
    for file in (outside / "pet").iterdir():
        (folder / "inside_out" / file.name).symlink_to(file)
    (folder / "slices_outside.toml").write_text(study_text(path="inside_out"))
    irregular(folder, (".toml",))
    for door in STUDY_DOORS:
        for name in ["study.toml", *STUDY_FILES]:
            calls.append((f"{door} {name}", door, [str(folder / name)]))
    calls.append(("session slices_outside.toml", "session", [str(folder / "slices_outside.toml")]))
    return calls


STUDY_FILES = [
    *STUDIES,
    *(f"{key}_{name}.toml" for key in ("path", "regions") for name in ESCAPES),
    *(f"{kind}.toml" for kind in IRREGULAR),
]
EVERY = [
    f"{door} {name}"
    for kind, (doors, files, _, _) in KINDS.items()
    for door in doors
    for name in [*files, *IRREGULAR_NAMES[kind]]
] + [f"{door} {name}" for door in STUDY_DOORS for name in STUDY_FILES]
HARMLESS = [
    f"{door} {name}" for doors, _, _, harmless in KINDS.values() for door in doors
    for name in harmless
] + [f"{door} study.toml" for door in STUDY_DOORS]  # fmt: skip
# What these doors cannot use is refused also when it is sound.
UNUSABLE = ("suv image_pet.nii.gz",)


@pytest.mark.parametrize("call", [call for call in HARMLESS if call not in UNUSABLE])
def test_the_sound_file_is_read(answers, call):
    assert answers[call]["end"] == "done", answers[call]["message"]


@pytest.mark.parametrize("call", EVERY)
def test_a_hostile_file_is_refused_at_once_and_by_name(answers, call):
    answer = answers[call]
    door, name = call.split(" ")
    allowed = ("refused", "done") if door == "inspect" else ("refused",)
    assert answer["end"] in allowed, answer["message"]
    assert name.removesuffix(".toml").split(".")[0].split("_")[-1] in answer["message"]
    # A fresh call on a sound file takes some hundredths of a second: this is the stricter bound.
    assert answer["seconds"] < SECONDS
    assert answer["bytes"] < BYTES


def test_slices_that_lead_out_of_the_roots_are_refused(answers):
    assert answers["session slices_outside.toml"]["end"] == "refused"
