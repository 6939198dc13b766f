"""Results made up for the report's tests: a two-arm trial, and the small and hostile cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from igdd.results import COLUMNS, FINDINGS, Panel, Results

ORGANS = (
    "liver", "spleen", "kidney_left", "kidney_right", "heart_wall", "lung_left", "lung_right",
    "red_marrow", "muscle", "brain", "bowel", "bladder", "skin",
)  # fmt: skip
SESSIONS = {"4h": 4 * 3600.0, "24h": 24 * 3600.0, "72h": 72 * 3600.0}
UNITS = {
    "percent_id": "%", "percent_id_per_g": "%/g", "percent_id_per_kg": "%/kg",
    "percent_id_per_ml": "%/mL", "suvbw": "g/mL", "suvlbm_janma": "g/mL", "suvbsa": "cm2/mL",
    "concentration": "Bq/mL", "volume": "mL", "ratio_to_blood": "1", "ledger_percent_id": "%",
}  # fmt: skip
HOSTILE = (
    "<script>alert(1)</script>",
    '#read("/etc/passwd")',
    "$x^2$ *bold* _under_",
    "</script><img src=x onerror=alert(1)>",
    'datum["region"]',
)


def row(**values: Any) -> dict[str, Any]:
    """One row of the tidy table; what is not said is plain."""
    plain: dict[str, Any] = {
        "subject": "01", "session": "24h", "arm": "", "time": 86400.0, "analyte": "label",
        "region": "liver", "metric": "percent_id", "value": 1.0, "sd": 0.1, "sd_shared": 0.05,
        "low": np.nan, "high": np.nan, "unit": "%", "flags": "", "method": "",
    }  # fmt: skip
    filled = plain | values
    if "low" not in values:
        filled["low"] = filled["value"] - 1.96 * filled["sd"]
        filled["high"] = filled["value"] + 1.96 * filled["sd"]
    return filled


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The tidy table from rows."""
    return pd.DataFrame(rows, columns=list(COLUMNS))


def no_findings() -> pd.DataFrame:
    """A findings table without a row, as a study without a comparison gives."""
    return pd.DataFrame(columns=list(FINDINGS))


def results(rows: list[dict[str, Any]], **changes: Any) -> Results:
    """Results of a small study."""
    plain: dict[str, Any] = {
        "study": {"schema": 1, "title": "A small study"},
        "measurements": table(rows),
        "findings": no_findings(),
    }
    return Results(**(plain | changes))


def trial(seed: int = 7, subjects: int = 12) -> Results:
    """Two arms, three sessions, organs and one to five lesions, findings, ledger and pictures."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    panels: list[Panel] = []
    for number in range(subjects):
        subject, arm = f"{number + 1:02d}", ("plain", "targeted")[number % 2]
        person, lesions = random.lognormal(0, 0.15), int(random.integers(1, 6))
        volumes = random.lognormal(1.2, 0.9, lesions)
        spread = random.lognormal(0, 0.35, lesions)
        for session, time in SESSIONS.items():
            held = _held(arm, time / 3600, person, volumes, spread)
            rows += _session_rows((subject, session, arm, time), held, random)
            panels += _body(subject, session, held, random)
    return Results(
        study=_study(subjects),
        measurements=table(rows),
        findings=_findings(),
        panels=tuple(panels),
        methods=METHODS,
        provenance=PROVENANCE,
    )


def _held(
    arm: str, hours: float, person: float, volumes: np.ndarray, spread: np.ndarray
) -> dict[str, tuple[str, float, float]]:
    """Region -> (kind, %ID, volume in mL)."""
    blood = 62 * np.exp(-hours / 22) * person
    late = 1 - np.exp(-hours / 12)
    share = dict(zip(ORGANS, (20, 6, 1.6, 1.7, 1.1, 1.4, 1.5, 8, 5, 0.2, 5, 0.9, 4), strict=True))
    size = dict(
        zip(ORGANS, (1500, 180, 150, 155, 310, 480, 560, 1100, 24000, 1350, 900, 180, 3200),
            strict=True)
    )  # fmt: skip
    held = {n: ("organ", share[n] * (0.3 + late) * person, float(size[n])) for n in ORGANS}
    held["blood"] = ("blood", blood * 0.12, 420.0)
    gain = 1.7 if arm == "targeted" else 1.0
    for place, (volume, factor) in enumerate(zip(volumes, spread, strict=True), start=1):
        level = 0.009 * gain * late * factor * person
        held[f"lesion_{place}"] = ("lesion", level * volume, float(volume))
    return held


def _session_rows(
    key: tuple[str, str, str, float],
    held: dict[str, tuple[str, float, float]],
    random: np.random.Generator,
) -> list[dict[str, Any]]:
    subject, session, arm, time = key
    found = []
    common = {"subject": subject, "session": session, "arm": arm, "time": time}
    blood = held["blood"][1] / held["blood"][2]
    for region, (kind, amount, volume) in held.items():
        cv = 0.16 if kind == "lesion" else 0.04
        flags = "psf_unknown" if region == "skin" else ""
        flags = "small_region" if kind == "lesion" and volume < 2 else flags
        error = random.normal(1, cv)
        values = {
            "percent_id": amount, "percent_id_per_g": amount / volume / 1.04,
            "percent_id_per_kg": 1000 * amount / volume / 1.04,
            "percent_id_per_ml": amount / volume, "suvbw": amount / volume * 700,
            "suvlbm_janma": amount / volume * 520, "suvbsa": amount / volume * 180,
            "concentration": amount / volume * 3.7e5, "ratio_to_blood": amount / volume / blood,
        }  # fmt: skip
        recovered = 1 / (1 + 1.2 / volume ** (1 / 3)) if kind == "lesion" else 0.97
        for metric, value in values.items():
            value = value * error
            common_row = common | {"region": region, "flags": flags, "unit": UNITS[metric]}
            found.append(row(**common_row, metric=metric, value=value, sd=abs(value) * cv))
            if metric in ("percent_id", "percent_id_per_g", "suvbw", "percent_id_per_ml"):
                twin = value * recovered
                name = f"{metric}_uncorrected"
                found.append(row(**common_row, metric=name, value=twin, sd=abs(twin) * 0.03))
        found.append(
            row(**common, region=region, metric="volume", value=volume, sd=0.05 * volume, unit="mL")
        )
    return found + _ledger(common, held, random)


def _ledger(
    common: dict[str, Any],
    held: dict[str, tuple[str, float, float]],
    random: np.random.Generator,
) -> list[dict[str, Any]]:
    parts = {name: amount for name, (_, amount, _) in held.items()}
    parts["urine"] = 0.08 * common["time"] / 3600
    parts["faeces"] = 0.05 * common["time"] / 3600
    parts["remainder"] = max(random.normal(97, 2) - sum(parts.values()), 4.0)
    total = sum(parts.values())
    flag = "unaccounted" if abs(100 - total) > 6 else ""
    metric = {"metric": "ledger_percent_id", "unit": "%"}
    found = [
        row(**common, **metric, region=name, value=value, sd=0.04 * value)
        for name, value in parts.items()
    ]
    for name, value in (("total", total), ("unaccounted", 100 - total)):
        found.append(row(**common, **metric, region=name, value=value, sd=2.5, flags=flag))
    return found


def _body(
    subject: str,
    session: str,
    held: dict[str, tuple[str, float, float]],
    random: np.random.Generator,
) -> list[Panel]:
    """Projection and slice of a body of ellipses, in SUV."""
    rows, columns = 150, 64
    places = {
        "liver": (62, 22, 9, 12), "spleen": (66, 48, 6, 5), "heart_wall": (48, 35, 6, 6),
        "kidney_left": (78, 44, 6, 3), "kidney_right": (78, 20, 6, 3), "brain": (12, 32, 9, 8),
        "bladder": (118, 32, 4, 5), "lesion_1": (40, 20, 2, 2), "lesion_2": (92, 40, 2.5, 2),
    }  # fmt: skip
    y, x = np.mgrid[0:rows, 0:columns]
    body = ((y - 78) / 70) ** 2 + ((x - 32) / 26) ** 2 < 1
    pixels = np.where(body, 0.6, 0.0) + random.normal(0, 0.05, (rows, columns))
    outlines, kinds = {}, {}
    for name, (row_, column, height, width) in places.items():
        if name not in held:
            continue
        mask = ((y - row_) / height) ** 2 + ((x - column) / width) ** 2 <= 1
        pixels = np.where(mask, pixels + held[name][1] / held[name][2] * 700, pixels)
        outlines[name], kinds[name] = mask, held[name][0]
    common: dict[str, Any] = {
        "subject": subject, "session": session, "quantity": "SUV (body weight)", "unit": "g/mL",
        "kinds": kinds,
    }  # fmt: skip
    band = slice(40, 104)
    return [
        Panel(kind="mip_coronal", title="maximum-intensity projection, coronal",
              pixels=pixels.astype(np.float32), spacing=(11.0, 8.0), outlines=outlines, **common),
        Panel(kind="mip_sagittal", title="maximum-intensity projection, sagittal",
              pixels=pixels[:, 12:52].astype(np.float32), spacing=(11.0, 8.0), **common),
        Panel(kind="slice", title="transverse slice through lesion_1",
              pixels=pixels[band].astype(np.float32), spacing=(6.0, 6.0),
              outlines={name: mask[band] for name, mask in outlines.items()},
              under=np.where(body, 40.0, -1000.0)[band].astype(np.float32), **common),
    ]  # fmt: skip


def _study(subjects: int) -> dict[str, Any]:
    return {
        "schema": 1,
        "title": "89Zr-liposome delivery, plain against targeted",
        "agent": {
            "carrier": "PEG-liposome", "drug": "doxorubicin",
            "label": {"nuclide": "Zr-89", "on": "carrier"},
        },
        "subject": [{"id": f"{n + 1:02d}"} for n in range(subjects)],
        "region": [
            {"name": "lesion_*", "kind": "lesion", "density": "1.04 g/mL"},
            {"name": "blood", "kind": "blood"},
        ],
        "exclude": [
            {"subject": "03", "session": "72h", "region": "lesion_2", "reason": "motion"},
            {"subject": "05", "session": "4h", "region": None, "reason": "extravasation at arm"},
        ],
    }  # fmt: skip


def finding(**values: Any) -> dict[str, Any]:
    """One row of findings."""
    plain: dict[str, Any] = {
        "comparison": "groups", "metric": "percent_id_per_g", "session": "24h",
        "analyte": "label", "region": "lesion", "contrast": "targeted / plain", "estimate": 1.62,
        "low": 1.14, "high": 2.31, "p": 0.012, "p_adjusted": 0.012, "n": 12, "unit": "1",
        "flags": "", "method": "", "sentence": "",
    }  # fmt: skip
    return plain | values


def _findings() -> pd.DataFrame:
    ratios = {"liver": 0.97, "spleen": 1.08, "kidney_left": 0.9, "red_marrow": 1.02, "blood": 0.95}
    first = finding(
        sentence="At 24 h the lesions of the targeted arm hold 1.62 times (95 % 1.14 to 2.31) the "
        "%ID/g of the plain arm; p = 0.012 (12 subjects, 36 lesions).",
        method="Two-arm comparison of subjects' geometric means on the log scale, Welch's t.",
        flags="estimate_not_positive",
    )
    others = [
        finding(region=name, estimate=ratio, low=ratio / 1.2, high=ratio * 1.2, p=0.4,
                p_adjusted=0.9, method="Holm's correction over organs.")
        for name, ratio in ratios.items()
    ]  # fmt: skip
    return pd.DataFrame([first, *others], columns=list(FINDINGS))


METHODS = (
    "PET values were converted to activity concentration with each slice's own rescale slope and "
    "corrected for decay to the time of administration (half-life of Zr-89 78.41 h, ICRP-107)",
    "Region means were corrected for partial volume by the geometric transfer matrix with an "
    "assumed point spread of 6.0 mm.",
    "Region means were corrected for partial volume by the geometric transfer matrix with an "
    "assumed point spread of 6.0 mm.",
    "Uptake is given as percent of the net administered activity per gram of tissue.",
)
PROVENANCE = {
    "versions": {"igdd": "0.1.0", "numpy": "2.1.0", "python": "3.11.9"},
    "seed": 1,
    "inputs": [
        {"path": f"sub-{n:02d}/ses-24h/pet/sub-{n:02d}_pet.nii.gz", "sha256": f"{n:064x}"}
        for n in range(1, 13)
    ],
    "warnings": ["sub-03_pet.json: Manufacturer is missing"],
}


def empty() -> Results:
    """Nothing was measured."""
    return results([], study={})


def concentration_only() -> Results:
    """One subject, one session, no dose: only concentrations, and their noise is unknown."""
    values = {"liver": 8200.0, "kidney": 15400.0, "muscle": -3.0}
    return results(
        [
            row(region=name, metric="concentration", unit="Bq/mL", value=value, sd=np.nan,
                time=np.nan, session="scan1", flags="noise_unknown;psf_unknown")
            for name, value in values.items()
        ]
    )  # fmt: skip


def phantom() -> Results:
    """Recovery of spheres relative to the largest: ratios and nothing else."""
    recovery = {10: 0.31, 13: 0.52, 17: 0.71, 22: 0.84, 28: 0.95, 37: 1.0}
    return results(
        [
            row(subject="nema", session=session, region=f"sphere_{size}mm", time=np.nan,
                metric="ratio_to_sphere_37mm", unit="1", value=value * gain, sd=0.02)
            for session, gain in (("recon1", 1.0), ("recon2", 0.97))
            for size, value in recovery.items()
        ]
    )  # fmt: skip


def all_unknown() -> Results:
    """Every value is NaN."""
    return results(
        [
            row(region=name, value=np.nan, sd=np.nan, low=np.nan, high=np.nan, flags="empty_region")
            for name in ("liver", "spleen")
        ]
    )


def many_regions() -> Results:
    """Three hundred regions in two subjects without arms."""
    return results(
        [
            row(subject=subject, region=f"parcel_{number:03d}", metric="suvbw", unit="g/mL",
                value=0.5 + number / 100, sd=0.1)
            for subject in ("a", "b")
            for number in range(300)
        ]
    )  # fmt: skip


def many_lesions() -> Results:
    """Two hundred lesions in one patient of one arm."""
    random = np.random.default_rng(1)
    return results(
        [
            row(arm="targeted", region=f"lesion_{number}", metric="percent_id_per_g", unit="%/g",
                value=float(random.lognormal(-4, 1)), sd=0.001)
            for number in range(1, 201)
        ],
        study={"title": "Many", "region": [{"name": "lesion_*", "kind": "lesion"}]},
    )  # fmt: skip


def dynamic() -> Results:
    """Forty frames of one scan in three subjects."""
    times = np.cumsum([10.0] * 12 + [60.0] * 10 + [300.0] * 18)
    return results(
        [
            row(subject=subject, session="dyn", region=name, metric="concentration", unit="Bq/mL",
                time=float(time), value=float(gain * 1e4 * np.exp(-time / rate)), sd=200.0)
            for subject, gain in (("m1", 1.0), ("m2", 1.1), ("m3", 0.8))
            for name, rate in (("blood", 600.0), ("tumour", 9000.0))
            for time in times
        ]
    )  # fmt: skip


def two_analytes() -> Results:
    """A drug concentration beside the label's uptake, both under one metric's name."""
    return results(
        [
            row(analyte=analyte, metric="percent_id_per_g", unit="%/g", value=value, arm=arm,
                subject=subject)
            for analyte, value in (("label", 5.0), ("drug", 3.0))
            for arm, subject in (("", "1"), ("treated", "2"))
        ]
    )  # fmt: skip


def hostile() -> Results:
    """Markup and code in every text that a study or a file can carry."""
    rows = [
        row(region=region, arm=arm, subject=f"s{number}", session=session, metric=metric,
            unit=unit, value=1.0 + number, time=number * 3600.0, method=HOSTILE[0])
        for number, region in enumerate(HOSTILE)
        for arm, session in ((HOSTILE[0], HOSTILE[1]), (HOSTILE[1], HOSTILE[3]))
        for metric, unit in (
            ("percent_id_per_g", "%/g"), ("ledger_percent_id", "%"), (HOSTILE[0], HOSTILE[1]),
        )
    ]  # fmt: skip
    mask = np.eye(8, dtype=bool)
    panel = Panel(
        subject=HOSTILE[3], session=HOSTILE[1], kind="slice", title=HOSTILE[2],
        pixels=np.ones((8, 8), np.float32), spacing=(1.0, 1.0), quantity=HOSTILE[2],
        unit=HOSTILE[2], outlines=dict.fromkeys(HOSTILE, mask),
        kinds=dict.fromkeys(HOSTILE, "lesion"),
    )  # fmt: skip
    texts = dict.fromkeys(("region", "contrast", "method", "metric", "session"), HOSTILE[0])
    return results(
        rows,
        study={
            "title": HOSTILE[0] + HOSTILE[1],
            "agent": {"carrier": HOSTILE[3], "drug": HOSTILE[1]},
            "exclude": [{"subject": HOSTILE[0], "reason": HOSTILE[1]}],
        },
        findings=pd.DataFrame(
            [finding(**texts), finding(sentence=HOSTILE[1])], columns=list(FINDINGS)
        ),
        panels=(panel,),
        methods=HOSTILE,
        provenance={HOSTILE[0]: {HOSTILE[1]: HOSTILE}, "warnings": list(HOSTILE)},
    )


def odd_panels() -> Results:
    """Pictures without a finite pixel, of one pixel, all zero, and with an outline that misfits."""
    shapes = {
        "unknown": np.full((6, 6), np.nan), "single": np.ones((1, 1)), "zero": np.zeros((6, 6)),
        "negative": np.full((6, 6), -2.0), "wide": np.ones((3, 90)),
    }  # fmt: skip
    panels = tuple(
        Panel(subject=name, session="24h", kind=kind, title="slice", quantity="x", unit="Bq/mL",
              pixels=pixels.astype(np.float32), spacing=(2.0, 2.0),
              outlines={"liver": np.ones((4, 4), bool)})
        for name, pixels in shapes.items()
        for kind in ("mip_coronal", "slice")
    )  # fmt: skip
    return results([row()], panels=panels)


SMALL = (
    empty, concentration_only, phantom, all_unknown, many_regions, many_lesions, dynamic,
    two_analytes, hostile, odd_panels,
)  # fmt: skip
