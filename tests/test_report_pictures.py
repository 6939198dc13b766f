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


def maps(**changes):
    """Three maps of one model in the order in which its files are written."""
    pixels = np.linspace(0.0, 1.0, 600, dtype=np.float32).reshape(20, 30)
    mask = np.zeros((20, 30), dtype=bool)
    mask[4:16, 5:25] = True
    plain = {
        "subject": "01", "session": "base", "kind": "map", "spacing": (2.0, 2.0), "pixels": pixels,
        "title": "transverse slice through cortex", "outlines": {"cortex": mask},
    }  # fmt: skip
    return tuple(
        studies.Panel(**(plain | {"quantity": f"two tissue {name}", "unit": unit} | changes))
        for name, unit in (("K1", "mL/cm3/min"), ("k2", "1/min"), ("VT", "mL/cm3"))
    )


def test_what_a_model_is_asked_for_is_its_first_map():
    found = pictures(overview(studies.results([studies.row()], panels=maps())))
    assert [one.title for one in found] == [
        f"Parametric map: two-tissue {name}" for name in ("VT", "K1", "k2")
    ]
    assert "98th percentile" in found[0].caption


def test_a_picture_with_anatomy_has_the_colours_of_one_without(monkeypatch):
    from matplotlib.axes import Axes

    used = []
    plain = Axes.imshow

    def seen(self, *arguments, **words):
        used.append((getattr(words["cmap"], "name", words["cmap"]), words.get("vmax")))
        return plain(self, *arguments, **words)

    monkeypatch.setattr(Axes, "imshow", seen)
    one = maps()[0]
    other = replace(one, subject="02", under=np.ones(one.pixels.shape, dtype=np.float32))
    pictures(overview(studies.results([studies.row()], panels=(one, other))))
    coloured = {entry for entry in used if entry[0] != "gray"}
    assert len(used) == 3
    assert len(coloured) == 1


@pytest.mark.filterwarnings("error")
def test_numbers_without_measure_are_drawn_without_a_warning():
    pixels = maps()[0].pixels.copy()
    pixels[0, :4] = 3e38, -3e38, np.inf, np.nan
    under = np.ones(pixels.shape, dtype=np.float32)
    assert pictures(
        overview(studies.results([studies.row()], panels=maps(pixels=pixels, under=under)))
    )


def test_a_slice_of_a_contrast_agent_has_a_short_scale(monkeypatch):
    from matplotlib.colorbar import Colorbar

    labels = []
    monkeypatch.setattr(Colorbar, "set_label", lambda self, text, **words: labels.append(text))
    one = replace(
        maps()[0], kind="slice", quantity="amount concentration", unit="mol/mL",
        pixels=maps()[0].pixels * np.float32(2e-7),
    )  # fmt: skip
    pictures(overview(studies.results([studies.row()], panels=(one,))))
    assert labels[-1] == "amount concentration (mmol/L)"


def test_the_label_of_a_low_picture_does_not_run_out_of_it(monkeypatch):
    from matplotlib.figure import Figure

    ends = []
    plain = Figure.savefig

    def seen(self, *arguments, **words):
        extent = self.axes[-1].yaxis.label.get_window_extent()
        height = self.get_figheight() * self.dpi
        ends.extend((extent.y0 / height, extent.y1 / height))
        return plain(self, *arguments, **words)

    monkeypatch.setattr(Figure, "savefig", seen)
    one = replace(
        maps()[0], kind="mip_coronal", quantity="amount concentration of the agent", unit="mol/mL",
        pixels=np.ones((4, 40), dtype=np.float32), outlines={},
    )  # fmt: skip
    pictures(overview(studies.results([studies.row()], panels=(one,) * 4)))
    assert 0 <= ends[0] < ends[1] <= 1


def test_the_colour_bar_stands_beside_the_pictures_also_where_they_are_few(monkeypatch):
    from matplotlib.figure import Figure

    places = []
    plain = Figure.savefig

    def seen(self, *arguments, **words):
        places.extend(axes.get_position() for axes in self.axes)
        return plain(self, *arguments, **words)

    monkeypatch.setattr(Figure, "savefig", seen)
    pictures(overview(studies.results([studies.row()], panels=(maps()[0],))))
    picture, bar = places
    assert 0 < bar.x0 - picture.x1 < 0.05
