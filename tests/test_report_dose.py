"""The page of `igdd dose`: what stands on it, and that plots are files of two kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from igdd.errors import InputError
from igdd.report.dose import check_plot, content, write_plot
from igdd.report.html import page
from igdd.stages.dose import dose


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("dose") / "table.csv"
    rows = "".join(
        f"{region},{time},{value},{mass}\n"
        for region, factor, mass in (("kidney", 1.0, 150), ("tumour", 0.2, 20))
        for time, value in (
            (4, 90 * factor),
            (24, 70 * factor),
            (72, 35 * factor),
            (120, 18 * factor),
        )
    )
    path.write_text("region,time [h],activity [MBq],mass [g]\n" + rows)
    return dose(path, nuclide="Lu-177", corrected_to="none")


def test_the_page_names_regions_doses_models_and_cautions(found):
    said = content(found, "Dose")
    shown = page(said)
    assert [section.name for section in said.sections] == [
        "doses",
        "activity",
        "decays",
        "cautions",
    ]
    for text in ("kidney", "tumour", "uptake_clearance", "after the last", "S values from other"):
        assert text in shown
    highest = max(found, key=lambda one: one["dose"]["total"])
    assert said.summary.startswith(highest["region"])


def test_decays_without_a_mass_make_a_page(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("region,time [h],activity [MBq]\nk,4,9\nk,24,7\nk,72,3\n")
    said = content(dose(path, nuclide="Lu-177", corrected_to="none"), "Dose")
    assert "doses are not" in said.summary
    assert "–" in page(said)


def test_plots_are_pages_or_pictures(found, tmp_path):
    picture = tmp_path / "plot.png"
    write_plot(found, picture, "Dose")
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match=r"\.html or \.png"):
        check_plot(Path("plot.pdf"))
