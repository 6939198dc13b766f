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
            facts = folder / f"{name.split('.')[0]}.json"
            if "_pet.nii" in name and not facts.exists():
                facts.write_text(json.dumps(SIDECAR))
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


# Samples that break off, or go on, behind a sound header: `inspect` reads headers only.
SOUND_HEADERS = ("bomb_pet.nii.gz", "cut_pet.nii.gz", "cut_pixels.dcm")


@pytest.mark.parametrize("call", EVERY)
def test_a_hostile_file_is_refused_at_once_and_by_name(answers, call):
    answer = answers[call]
    door, name = call.split(" ")
    allowed = ("refused", "done") if door == "inspect" else ("refused",)
    assert answer["end"] in allowed, answer["message"]
    if not (door == "inspect" and name in SOUND_HEADERS):
        assert f"/{name.split('.')[0]}." in answer["message"]
    # The whole call, though only what is beyond a sound file's would count.
    assert answer["seconds"] < SECONDS
    assert answer["bytes"] < BYTES


def test_slices_that_lead_out_of_the_roots_are_refused(answers):
    assert answers["session slices_outside.toml"]["end"] == "refused"


# The commands themselves: exit code 2, one message, no trace.

COMMANDS = [
    ("suv", "terabyte_pet.nii"), ("suv", "deflated.dcm"), ("suv", "pipe.dcm"),
    ("check", "path_link.toml"), ("check", "nested_lists.toml"), ("check", "pipe.toml"),
    ("run", "terabyte_pet.nii.study.toml"), ("run", "bomb_pet.nii.gz.study.toml"),
    ("run", "deep_open_rt.dcm.study.toml"), ("run", "slices_outside.toml"),
    ("inspect", "nowhere"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "name"), COMMANDS)
def test_the_command_ends_with_exit_2_and_one_message(answers, folder, tmp_path, command, name):
    words = ("--out", tmp_path / "out") if command == "run" else ()
    done = igdd(command, folder / name, *words)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("igdd: ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_mask_that_nests_deeply_ends_with_exit_2(answers, folder):
    done = igdd("suv", folder / "pet", "--mask", folder / "deep_open_seg.dcm")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "name", ["deep_open.dcm", "bomb_of_a_terabyte_pet.nii.gz", "vast.dcm", "zeros.dcm"]
)
def test_inspect_lists_what_is_wrong(answers, folder, name):
    done = igdd("inspect", folder / name, "--json")
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr
    if done.returncode == 0:
        found = json.loads(done.stdout)
        assert found["problems"] or any(row.get("problem") for row in found["series"])


@pytest.mark.parametrize(("command", "name"), [("inspect", ""), ("check", "study.toml")])
def test_the_cheap_commands_import_no_heavy_library(answers, folder, command, name):
    """The whole folder: every hostile file beside sound ones in each form."""
    code = (
        "import sys\nfrom igdd.cli import main\n"
        f"sys.argv = ['igdd', {command!r}, {str(folder / name)!r}]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    code = stop.code or 0\n"
        "print('code', code, [name for name in sys.modules if '.' not in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    said = done.stdout.splitlines()[-1]
    assert said.startswith("code 0 "), done.stderr
    assert not [library for library in HEAVY if f"'{library}'" in said]


# Names and texts

NAMES = (
    "new\nline", "quote\"'", "snow ☃ and ü", "-o", "$(touch x)", "%s%n", "[bold]x[/bold]",
    os.fsdecode(b"bytes\xff"),
)  # fmt: skip


@pytest.fixture(scope="module")
def oddly_named(folder, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("names")
    for name in NAMES:
        sound(root / name)
        (root / name / "regions.nii.gz").symlink_to(root / name / "regions_dseg.nii.gz")
    return root


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_odd_names_are_inspected(oddly_named, form):
    done = igdd("inspect", oddly_named, *form)
    assert done.returncode == 0, done.stderr
    assert "snow" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_name_is_read_and_leads_nowhere(oddly_named, name):
    done = igdd("suv", f"./{name}/pet", "--mask", f"./{name}/regions_dseg.nii.gz", cwd=oddly_named)
    assert done.returncode == 0, done.stderr
    assert "SUVbw" in done.stdout
    assert not (oddly_named / "x").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_message_about_an_odd_name_can_be_printed(oddly_named, name):
    done = igdd("suv", f"./{name}/nowhere", cwd=oddly_named)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr


HOSTILE = "<script>alert(1)</script>"
PICTURE = "<img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    """Counts elements and collects the names of attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:
            self.words.append(data)


def _report(folder: Path, **words: str) -> Elements:
    done = igdd("run", folder, "--out", folder / "out", "--workers", "1")
    assert done.returncode == 0, done.stderr
    return Elements((folder / "out" / "report.html").read_text(encoding="utf-8"))


def test_markup_in_files_and_study_stays_text_in_the_report(tmp_path):
    plain, marked = sound(tmp_path / "plain"), tmp_path / "marked"
    sound(marked, description=HOSTILE, names=(HOSTILE, PICTURE))
    (marked / "study.toml").write_text(study_text(title=HOSTILE, arm=PICTURE, carrier=HOSTILE))
    expected, found = _report(plain), _report(marked)
    assert found.tags.count("script") == expected.tags.count("script")
    assert found.tags.count("img") == expected.tags.count("img")
    assert not [name for name in found.attributes if name.startswith("on")]
    assert HOSTILE in "".join(found.words)
    assert PICTURE in "".join(found.words)
