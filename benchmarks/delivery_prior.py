"""Build the prior of nanoparticle delivery from its two raw tables (CC0), and print its figures.

    python benchmarks/delivery_prior.py FOLDER [OUT]
    python benchmarks/delivery_prior.py calibration

FOLDER holds G1_Model_dataset.csv and G1_timecourse_pk.csv (github.com/UFPBPK/Nano-AI-PBPK-G1, its
two workbooks saved as CSV, with the study's number in every row). OUT is where the two tables of
the package are written; without it nothing is written. `calibration` leaves out one series of
studies after the other and prints how the percentiles of those left out are spread.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import numpy as np

from igdd.kernels.delivery_course import Courses, measure
from igdd.kernels.pooled_regression import fit_pooled, predict, predictive_rank
from igdd.metrics.delivery_prior import figures
from igdd.metrics.delivery_prior import studies as prior_studies

SOURCE = (
    "UFPBPK/Nano-AI-PBPK-G1 at 7c89ad4, CC0-1.0 (Chou et al. 2023, J Control Release 361:53). "
    "Built by benchmarks/delivery_prior.py"
)
# The raw code of charge: 0 goes with zeta potentials that the papers print below zero.
CHARGES = {"0": "negative", "1": "positive", "2": "neutral"}
# What studies of one paper share: the raw table does not name papers, but holds theirs together.
SHARED = ("carrier", "graft", "site", "cancer", "tumour_weight_g", "body_weight_g")
STUDY_COLUMNS = (
    "study", "series", "carrier", "targeting", "size_nm", "zeta_magnitude_mv", "charge", "shape",
    "graft", "site", "cancer", "tumour_weight_g", "dose_mg_per_kg", "body_weight_g", "points",
    "first_h", "last_h", "time_averaged_percent_id", "percent_id_24h", "percent_id_168h",
    "max_percent_id", "max_percent_id_per_g", "auc_percent_id_h",
)  # fmt: skip


def studies(folder: Path) -> list[dict[str, str]]:
    """One row of facts and figures for each study of the raw tables."""
    points = courses(folder)
    number = np.array([int(row["study"]) for row in points])
    columns = {
        name: np.array([float(row[name]) for row in points])
        for name in ("time_h", "percent_id", "percent_id_per_g")
    }
    known = Courses.of(
        number, columns["time_h"], columns["percent_id"], columns["percent_id_per_g"]
    )
    figures = {
        "time_averaged_percent_id": measure(known, "time_averaged_percent_id"),
        "percent_id_24h": measure(known, "percent_id_at", at=24.0),
        "percent_id_168h": measure(known, "percent_id_at", at=168.0),
        "max_percent_id": measure(known, "max_percent_id"),
        "max_percent_id_per_g": measure(known, "max_percent_id_per_g"),
        "auc_percent_id_h": measure(known, "auc_percent_id"),
    }
    rows: list[dict[str, str]] = []
    for place, raw in enumerate(_rows(folder / "G1_Model_dataset.csv")):
        if int(raw["ID"]) != known.study[place]:
            raise SystemExit(f"study {raw['ID']} has no time course")
        rows.append(
            _facts(raw)
            | {
                "points": str(int(known.count[place])),
                "first_h": _text(known.first[place]),
                "last_h": _text(known.last[place]),
            }
            | {name: _text(values[place]) for name, values in figures.items()}
        )
    return _with_series(rows)


def _with_series(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows with a number for each series: studies in a row that share what papers share."""
    number, before, found = 0, None, []
    for row in rows:
        shared = tuple(row[name] for name in SHARED)
        number += shared != before
        before = shared
        found.append(row | {"series": str(number)})
    return found


def _facts(raw: dict[str, str]) -> dict[str, str]:
    """What the raw table says of a study; a cell that is not one of its own terms is empty."""
    graft, _, site = raw["TM"].strip().lower().partition(" ")
    targeting = raw["TS"].strip().lower()
    cancer = raw["CT"].strip().lower()
    return {
        "study": raw["ID"].strip(),
        "carrier": raw["Type"].strip().lower(),
        "targeting": targeting if targeting in ("active", "passive") else "",
        "size_nm": raw["HD"].strip(),
        "zeta_magnitude_mv": raw["Zeta"].strip(),
        "charge": CHARGES.get(raw["Charge"].strip().removesuffix(".0"), ""),
        "shape": raw["Shape"].strip().lower(),
        "graft": graft if site else "",
        "site": site,
        "cancer": cancer,
        "tumour_weight_g": raw["TW"].strip(),
        "dose_mg_per_kg": raw["Dose"].strip(),
        "body_weight_g": raw["BW"].strip(),
    }


def courses(folder: Path) -> list[dict[str, str]]:
    """The observed points: hours after injection, %ID and %ID/g of the tumour."""
    return [
        {
            "study": str(int(float(raw["ID"]))),
            "time_h": _text(float(raw["Time"])),
            "percent_id": _text(float(raw["Tumor"])),
            "percent_id_per_g": _text(float(raw["Tumor_g"])),
        }
        for raw in _rows(folder / "G1_timecourse_pk.csv")
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as opened:
        return list(csv.DictReader(opened))


def _text(value: float) -> str:
    """Ten digits, as the raw table has them; empty where a figure is not known."""
    return f"{value:.10g}" if np.isfinite(value) else ""


def written(rows: list[dict[str, str]], columns: tuple[str, ...]) -> str:
    """The text of a table of the package: its source, a header, the rows."""
    opened = io.StringIO()
    opened.write(f"# {SOURCE}\n")
    writer = csv.DictWriter(opened, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return opened.getvalue()


def left_out(metric: str, every: int = 1) -> np.ndarray:
    """Percentiles (n,) of the studies of each series, expected from all other series."""
    prior, values = prior_studies(), figures(metric)
    known = (values > 0) & np.isfinite(prior.size)
    columns = (np.ones(values.size), np.log(prior.tumour_weight), np.log(prior.size))
    design, response = np.column_stack(columns)[known], np.log(values[known])
    carriers = np.unique(prior.carrier, return_inverse=True)[1][known]
    series = prior.series[known]
    found = []
    for out in np.unique(series)[::every]:
        rest = series != out
        fit = fit_pooled(response[rest], design[rest], (carriers[rest],), series[rest])
        for row, carrier, value in zip(
            design[~rest], carriers[~rest], response[~rest], strict=True
        ):
            expected = predict(fit, row, (int(carrier),))
            found.append(predictive_rank(float(value), 0.0, expected).percentile)
    return np.array(found)


def calibration() -> None:
    for metric in ("time_averaged_percent_id", "percent_id_24h", "max_percent_id_per_g"):
        ranks = left_out(metric)
        inside = np.mean((ranks > 2.5) & (ranks < 97.5))
        distance = np.abs(np.sort(ranks) / 100 - (np.arange(ranks.size) + 0.5) / ranks.size).max()
        print(f"{metric:26} n {ranks.size}  within 2.5 to 97.5: {100 * inside:.1f} %  "
              f"largest distance from uniform {100 * distance:.1f} points")  # fmt: skip


def main(arguments: list[str]) -> None:
    if arguments == ["calibration"]:
        calibration()
        return
    folder = Path(arguments[0])
    rows = studies(folder)
    texts = {
        "delivery_studies.csv": written(rows, STUDY_COLUMNS),
        "delivery_courses.csv": written(
            courses(folder), ("study", "time_h", "percent_id", "percent_id_per_g")
        ),
    }
    for name, text in texts.items():
        if len(arguments) > 1:
            (Path(arguments[1]) / name).write_text(text, encoding="utf-8")
        print(f"{name}: {len(text)} bytes")
    for name in STUDY_COLUMNS[-6:]:
        values = np.array([float(row[name]) for row in rows if row[name]])
        low, median, high = np.percentile(values, (25, 50, 75))
        print(f"{name:26} n {values.size:3}  mean {values.mean():8.4g}  median {median:8.4g}  "
              f"quartiles {low:.4g} to {high:.4g}")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
