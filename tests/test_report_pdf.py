"""PDF: the same content in print; no text of a study is ever run."""

from __future__ import annotations

import re
from pathlib import Path

import pypdfium2
import pytest

import report_studies as studies
from igdd.report.content import content
from igdd.report.figures import biodistribution
from igdd.report.overview import overview
from igdd.report.pdf import breakable, document, renumbered, svg


@pytest.fixture(scope="module")
def trial_text():
    return text_of(document(content(studies.trial())))


def text_of(pdf: bytes) -> str:
    pages = pypdfium2.PdfDocument(pdf)
    text = " ".join(page.get_textpage().get_text_range() for page in pages)
    return " ".join(re.sub("[\u200b\u2060\ufffe\ufeff]", "", text).split())


def test_the_print_holds_the_answers_of_the_page(trial_text):
    report = content(studies.trial())
    assert report.title in trial_text
    for _, found in report.answers:
        for answer in found:
            assert " ".join(answer.text.split()) in trial_text


def test_the_print_holds_every_section(trial_text):
    for section in content(studies.trial()).sections:
        assert section.title in trial_text


def test_hostile_text_is_printed_and_not_run():
    text = text_of(document(content(studies.hostile())))
    passwd = Path("/etc/passwd").read_text().splitlines()[0]
    assert passwd not in text
    assert '#read("/etc/passwd")' in text
    assert "<script>alert(1)</script>" in text


def test_the_print_carries_no_clock():
    pdf = document(content(studies.concentration_only()))
    assert b"CreationDate" not in pdf
    assert b"ModDate" not in pdf


def test_only_the_bundled_font_is_used():
    pdf = document(content(studies.concentration_only()))
    fonts = set(re.findall(rb"/BaseFont\s*/[A-Z]{6}\+([\w-]+)", pdf))
    assert fonts
    assert all(name.startswith(b"DejaVuSans") for name in fonts)


def test_equal_charts_are_equal_bytes_however_many_were_drawn_before():
    chart = biodistribution(overview(studies.concentration_only()), "concentration")
    assert svg(chart.spec) == svg(chart.spec)


def test_identifiers_are_renumbered_only_inside_tags():
    drawing = '<svg><clipPath id="clip9"/><text>id="clip9" url(#clip9)</text></svg>'
    assert renumbered(drawing) == (
        '<svg><clipPath id="n1"/><text>id="clip9" url(#clip9)</text></svg>'
    )


def test_an_overlong_word_can_break():
    assert max(map(len, breakable("x" * 500).split("\u200b"))) <= 24


def test_a_region_name_of_a_thousand_characters_fits_the_page():
    results = studies.results([studies.row(region="x" * 1000), studies.row(region="liver")])
    assert len(pypdfium2.PdfDocument(document(content(results)))) <= 4


def inside(pdf: bytes) -> bool:
    """Whether every character lies between the side margins of its page."""
    for page in pypdfium2.PdfDocument(pdf):
        seen = page.get_textpage()
        for place in range(seen.count_chars()):
            left, _, right, _ = seen.get_charbox(place)
            if seen.get_text_range(place, 1).strip() and not 0 < left <= right < page.get_width():
                return False
    return True


def test_a_table_of_many_parameters_stays_on_the_page():
    from igdd.report.content import Content, Section
    from igdd.report.listings import Table

    names = tuple(f"{name} (mL/cm3/min)" for name in ("VT", "BPND", "K1", "k2", "k3", "k4"))
    table = Table(
        title="Two-tissue: parameters",
        columns=("subject", "session", "region", *names, "AICc", "chosen", "flags"),
        rows=(
            ("01", "drug", "cerebellum", *("0.0123 (0.0102 to 0.0144)",) * 6, "314",
             "delay\u00a0shared\u00a0−0.166\u00a0s", "at_bound, poorly_identified"),
        ) * 3,
        right=(False,) * 3 + (True,) * 7 + (False,) * 2,
    )  # fmt: skip
    report = Content(
        title="Wide", summary="", answers=(), version="0",
        sections=(Section(name="q2", title="Q2", blocks=(table,)),),
    )  # fmt: skip
    pdf = document(report)
    assert inside(pdf)
    assert "poorly_identified" in text_of(pdf)
