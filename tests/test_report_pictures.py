"""Pictures: which are chosen, that they can be drawn, and that they are always the same."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import report_studies as studies
from igdd.report.overview import overview
from igdd.report.pictures import MOST, choose, pictures


@pytest.fixture(scope="module")
def view():
    return overview(studies.trial())


def test_both_arms_are_shown_in_equal_number_at_the_headline_session(view):
    coronal = [p for p in view.results.panels if p.kind == "mip_coronal"]
    chosen = choose(coronal, view, MOST)
    arms = [("plain", "targeted")[(int(panel.subject) + 1) % 2] for panel in chosen]
    assert sorted(arms) == ["plain"] * 3 + ["targeted"] * 3
    assert {panel.session for panel in chosen} == {"24h"}


def test_room_left_is_filled_with_the_other_sessions(view):
    panels = [p for p in view.results.panels if p.kind == "mip_coronal" and p.subject == "01"]
    chosen = choose(panels, view, MOST)
    assert [panel.session for panel in chosen] == ["4h", "24h", "72h"]


def test_one_subject_in_another_unit_does_not_drive_out_the_rest(view):
    coronal = [p for p in view.results.panels if p.kind == "mip_coronal" and p.session == "24h"]
    panels = [replace(coronal[0], quantity="concentration", unit="Bq/mL"), *coronal[1:]]
    chosen = choose(panels, view, MOST)
    assert {panel.unit for panel in chosen} == {coronal[1].unit}


def test_no_more_than_twelve_pictures_and_the_choice_is_said(view):
    found = pictures(view)
    assert [picture.name for picture in found] == ["projections", "slices"]
    assert "6 of 36 pictures" in found[0].caption


def test_the_picture_is_a_png_without_any_metadata(view):
    image = Image.open(io.BytesIO(pictures(view)[0].png))
    assert image.format == "PNG"
    assert not {"Software", "Creation Time", "Author"} & set(image.info)
    assert np.asarray(image.convert("L")).std() > 5  # something is drawn


def test_equal_panels_give_equal_bytes(view):
    assert [p.png for p in pictures(view)] == [p.png for p in pictures(view)]


def test_odd_pictures_are_drawn_all_the_same():
    found = pictures(overview(studies.odd_panels()))
    assert len(found) == 2
    assert all(picture.png.startswith(b"\x89PNG") for picture in found)


def test_text_in_dollars_is_no_formula():
    assert pictures(overview(studies.hostile()))
