from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

import igdd
from igdd.cli_app import hear_compiler
from igdd.kernels import COMPILER, compiled


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(compiled.time, "monotonic", lambda: now[0])
    return now


def said(caplog):
    return [one.message for one in caplog.records if one.name == COMPILER]


def test_a_long_wait_is_explained_once(clock, caplog):
    caplog.set_level(logging.INFO, COMPILER)
    word = compiled.Word()
    word.on_start(None)  # the function that was called ...
    for _ in range(5):  # ... and those that it needs
        clock[0] += 2
        word.on_start(None)
        word.on_end(None)
    word.on_end(None)
    assert said(caplog) == [compiled.WORDS]


def test_short_compilations_one_after_the_other_are_not_worth_a_word(clock, caplog):
    caplog.set_level(logging.INFO, COMPILER)
    word = compiled.Word()
    for _ in range(5):
        word.on_start(None)
        clock[0] += 2
        word.on_end(None)
    assert said(caplog) == []


def test_at_a_terminal_the_word_is_printed(capsys):
    logger = logging.getLogger(COMPILER)
    before = list(logger.handlers), logger.level
    try:
        hear_compiler()
        logger.info(compiled.WORDS)
    finally:
        logger.handlers[:], logger.level = before
    assert capsys.readouterr().err == f"igdd: {compiled.WORDS}\n"


def test_every_kernel_is_compiled_by_the_same_door():
    """Else nobody would hear of it."""
    folder = Path(igdd.__file__).parent
    others = [
        path.name
        for path in folder.rglob("*.py")
        if re.search(r"from numba import .*njit|numba\.njit", path.read_text(encoding="utf-8"))
    ]
    assert others == ["compiled.py"]
