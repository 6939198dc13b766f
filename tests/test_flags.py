"""Flags: one table, each with its meaning, each raised somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from igdd.errors import InputError
from igdd.flags import FLAGS, NOTES, join
from igdd.kinetics import Status

SOURCES = {
    path: path.read_text(encoding="utf-8")
    for path in (Path(__file__).resolve().parents[1] / "src/igdd").rglob("*.py")
    if path.name != "flags.py"
}


@pytest.mark.parametrize("name", FLAGS)
def test_every_flag_is_raised_somewhere_and_explained(name):
    assert FLAGS[name].endswith(".")
    of_fits = {flag for bit in Status for flag in bit.flags}
    assert name in of_fits or any(f'"{name}"' in text for text in SOURCES.values())


def test_an_unknown_flag_is_refused():
    with pytest.raises(InputError, match="'surprise' is not in"):
        join(["surprise"])


def test_notes_are_flags():
    assert set(FLAGS) >= NOTES
