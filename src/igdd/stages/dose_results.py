"""What a dose map says of itself and of regions: tallies over the planes, tables, accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from igdd import provenance
from igdd.flags import FLAGS, join
from igdd.io import bids
from igdd.stages import dose_numbers
from igdd.stages.dose_inputs import FALLBACK, HELD
from igdd.types import Grid, Regions

# Shares of the energy over the image's edges, and of the decays in the tail, that get a flag.
LEFT, TAIL = 0.01, 0.2
CURVE = ("region", "dose_Gy", "volume_share", "volume_ml", "volume_share_other_method")
NUMBERS = ("region", "name", "value", "sd", "low", "high", "unit", "other_method", "flags")
Histograms = dict[str, dict[str, list[tuple[float, float]]]]


class Tally:
    """What is added up over the planes of an image, and the doses of its regions' voxels.

    decays, tail    sums of Bq s/mL over the voxels that have a value
    held, fallback  of voxels whose tail stands at the decay constant, or is not their own
    kept            sum of the kernel's dose in Gy
    """

    def __init__(self, regions: Regions | None, grid: Grid) -> None:
        self.decays = self.tail = self.kept = self.held = self.fallback = 0.0
        self.missing = self.negative = 0
        self.left = float("nan")
        self.highest = float("-inf")
        self.places: dict[str, tuple[np.ndarray, ...]] = {}
        self.found: dict[str, np.ndarray] = {}
        if regions is None:
            return
        for row, name in enumerate(regions.names):
            line = regions.weights[row]
            inside = line.data > 0
            found = np.unravel_index(line.indices[inside], grid.shape)
            i, j, k = (one.astype(np.int32) for one in found)
            order = np.argsort(k, kind="stable")
            self.places[name] = (i[order], j[order], k[order], line.data[inside][order])
            # dose, dose by the other method, density, decays, those in the tail, bits
            self.found[name] = np.full((6, order.size), np.nan)

    def take(self, first: int, last: int, planes: Sequence[np.ndarray]) -> None:
        """Keep what the regions' voxels have in some planes."""
        for name, (i, j, k, _) in self.places.items():
            part = slice(int(np.searchsorted(k, first)), int(np.searchsorted(k, last)))
            place = i[part], j[part], k[part] - first
            for row, values in enumerate(planes):
                self.found[name][row, part] = values[place]

    def count(
        self, dose: np.ndarray, decays: np.ndarray, tail: np.ndarray, bits: np.ndarray
    ) -> None:
        """Add up some planes."""
        known = ~np.isnan(decays)
        self.held += float(decays[known & (bits == HELD)].sum())
        self.fallback += float(decays[known & (bits == FALLBACK)].sum())
        self.decays += float(decays[known].sum())
        self.tail += float(tail[known].sum())
        self.missing += int(np.count_nonzero(np.isnan(dose)))
        self.negative += int(np.count_nonzero(decays < 0))
        if not np.isnan(dose).all():
            self.highest = max(self.highest, float(np.nanmax(dose)))

    def facts(self, kernel_sum: float, grid: Grid) -> dict[str, Any]:
        """The image as a whole; `kernel_sum` in Gy/(Bq s)."""
        put_in = self.decays * grid.voxel_volume
        if self.kept and put_in > 0:
            self.left = 1 - self.kept / (put_in * kernel_sum)
        return {
            "decays_Bq_s": put_in,
            "tail_share": _share(self.tail, self.decays),
            "held_share": _share(self.held, self.decays),
            "fallback_share": _share(self.fallback, self.decays),
            "highest_Gy": self.highest if np.isfinite(self.highest) else float("nan"),
            "left_image_share": self.left,
            "voxels_without_value": self.missing,
        }

    def flags(self) -> set[str]:
        """Cautions of the image as a whole."""
        found = {"noise_unknown"}
        if self.missing:
            found.add("nan_voxels")
        if self.negative:
            found.add("negative_voxels")
        if self.left > LEFT:
            found.add("dose_left_image")
        if _share(self.tail, self.decays) > TAIL:
            found.add("extrapolated_over_fifth")
        if _share(self.held, self.decays) > LEFT:
            found.add("effective_rate_at_physical")
        return found


def of_regions(
    tally: Tally, regions: Regions | None, wanted: dose_numbers.Wanted, cv: float
) -> tuple[list[dict[str, Any]], Histograms]:
    """Numbers and histograms of every region, by the chosen method and by the other."""
    if regions is None:
        return [], {}
    rows, histograms = [], {}
    volume = regions.grid.voxel_volume
    for place, name in enumerate(regions.names):
        weights = tally.places[name][3]
        dose, other, density, decays, tail, bits = tally.found[name]
        known = np.isfinite(dose)
        shares = _shares(known, weights * decays, weights * tail, bits)
        flags = {*regions.flags[place], *_flags(known, decays, shares)}
        made: dict[str, Any] = {
            "region": name,
            "voxels": int(known.sum()),
            "volume_ml": float(weights[known].sum() * volume),
            "mass_g": float((weights * density)[known].sum() * volume),
            "decays_Bq_s": float((weights * decays)[known].sum() * volume),
            **shares,
            "numbers": [],
            "flags": sorted(flags),
        }
        if known.any():
            second = np.isfinite(other[known]).all()
            main = dose_numbers.estimates(dose[known], weights[known], wanted, cv)
            beside = dose_numbers.estimates(other[known], weights[known], wanted, cv)
            made["numbers"] = list(dose_numbers.rows(main, beside if second else None))
            upto = float(max(dose[known].max(), other[known].max() if second else 0.0))
            curves = {"chosen": dose_numbers.histogram(dose[known], weights[known], upto)}
            if second:
                curves["other"] = dose_numbers.histogram(other[known], weights[known], upto)
            histograms[name] = curves
        rows.append(made)
    return rows, histograms


def write(
    folder: Path, facts: Mapping[str, Any], histograms: Histograms, used: Sequence[Path]
) -> Path:
    """Write the tables (TSV) and the account (JSON) beside the dose; the account's path."""
    bids.write_table(folder / "dvh.tsv", CURVE, _curve_rows(facts, histograms))
    bids.write_table(
        folder / "numbers.tsv",
        NUMBERS,
        (
            {"region": region["region"], **row, "flags": join(region["flags"]) or None}
            for region in facts["regions"]
            for row in region["numbers"]
        ),
    )
    told = sorted({*facts["flags"], *(f for one in facts["regions"] for f in one["flags"])})
    account = {
        "Description": "absorbed dose from time-integrated activity",
        "Units": "Gy",
        **facts,
        "meanings": {flag: FLAGS[flag] for flag in told},
        "histograms": histograms,
        "sources": {path.name: provenance.sha256(path) for path in used if path.is_file()},
        "software": provenance.versions(),
        "code": provenance.code(),
    }
    return bids.write_json(folder / "dose.json", _finite(account))


def text(facts: Mapping[str, Any], dose: Path) -> str:
    """The choice of method, the regions' numbers and the flags, as lines."""
    method = facts["method"]
    lines = [f"{facts['nuclide']}: dose by {method['chosen']} ({method['reason']})",
             f"highest dose {facts['highest_Gy']:.4g} Gy"]  # fmt: skip
    other = "local" if method["chosen"] == "kernel" else "kernel"
    for region in facts["regions"]:
        lines.append(f"{region['region']}: {region['volume_ml']:.4g} mL, {region['mass_g']:.4g} g")
        for row in region["numbers"]:
            sd = f" +- {row['sd']:.3g}" if np.isfinite(row["sd"]) else ""
            beside = f"   ({other}: {row['other_method']:.5g})"
            lines.append(
                f"  {row['name']:9} {row['value']:10.5g}{sd} {row['unit']}"
                + (beside if np.isfinite(row["other_method"]) else "")
            )
        lines += [f"  {flag}: {FLAGS[flag]}" for flag in region["flags"]]
    lines += [f"{flag}: {FLAGS[flag]}" for flag in facts["flags"]]
    return "\n".join([*lines, f"dose: {dose}"])


def _shares(
    known: np.ndarray, decays: np.ndarray, tail: np.ndarray, bits: np.ndarray
) -> dict[str, float]:
    """Shares of a region's decays: after the last image, by held tails, and by others' tails."""
    whole = float(decays[known].sum())
    return {
        "tail_share": _share(float(tail[known].sum()), whole),
        "held_share": _share(float(decays[known & (bits == HELD)].sum()), whole),
        "fallback_share": _share(float(decays[known & (bits == FALLBACK)].sum()), whole),
    }


def _flags(known: np.ndarray, decays: np.ndarray, shares: Mapping[str, float]) -> set[str]:
    found = {"noise_unknown"}
    if not known.any():
        found.add("empty_region")
    if not known.all():
        found.add("nan_voxels")
    if (decays[known] < 0).any():
        found.add("negative_voxels")
    if shares["tail_share"] > TAIL:
        found.add("extrapolated_over_fifth")
    if shares["held_share"] > LEFT:
        found.add("effective_rate_at_physical")
    return found


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _curve_rows(facts: Mapping[str, Any], histograms: Histograms) -> list[dict[str, Any]]:
    volumes = {one["region"]: one["volume_ml"] for one in facts["regions"]}
    rows = []
    for name, curves in histograms.items():
        others = curves.get("other", [(np.nan, np.nan)] * len(curves["chosen"]))
        for (dose, share), (_, beside) in zip(curves["chosen"], others, strict=True):
            cells = (name, dose, share, share * volumes[name], beside)
            rows.append(dict(zip(CURVE, cells, strict=True)))
    return rows


def _finite(value: Any) -> Any:
    """The same with None where a number is not known."""
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float | np.floating) and not np.isfinite(value):
        return None
    return value
