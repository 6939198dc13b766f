"""A dose map as it is asked for in words: texts with units in, the stage's own numbers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from igdd import units
from igdd.errors import InputError
from igdd.stages import dose_map as stage
from igdd.stages.dose_inputs import Integration
from igdd.stages.dose_kernels import table_kernel, table_sums
from igdd.stages.dose_numbers import SOURCES, Wanted


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the caller says of a dose map; every quantity is a text with its unit.

    See `igdd.stages.dose_map.Physics`, `dose_inputs.Integration` and `dose_numbers.Wanted`.
    kernel_*  what a table of voxel S values does not say itself
    sd        relative standard deviations, such as "calibration=5 %"
    """

    density: str
    density_map: Path | None = None
    fwhm: str | None = None
    method: str = "auto"
    kernel: Path | None = None
    kernel_unit: str | None = None
    kernel_nuclide: str | None = None
    kernel_side: str | None = None
    kernel_medium: str | None = None
    photons: str | None = None
    daughters: str | None = None
    times: tuple[str, ...] = ()
    corrected_to: str | None = None
    rule: str = "trapezoid"
    start: str = "triangle"
    tail: str | None = None
    fallback: str | None = None
    volume_from: tuple[str, ...] = ()
    exponent: float | None = None
    alpha: float | None = None
    alpha_beta: str | None = None
    repair: str | None = None
    effective: str | None = None
    sd: tuple[str, ...] = ()


def dose_map(
    images: Path | str | Sequence[Path | str],
    nuclide: str,
    out: Path | str,
    *,
    mask: Path | str | None = None,
    unit: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    **said: Any,
) -> stage.DoseMap:
    """Dose in Gy of every voxel of an image, written into a folder, and the numbers of regions.

    images  one NIfTI of time-integrated activity, or several of activity with their `times`
    mask    regions whose numbers and histograms are wanted
    unit    of the images, where their sidecars do not say it
    said    density and all else that `Asked` names, such as fwhm="12 mm"
    """
    asked = Asked(**said)
    wanted = Wanted(
        volume_from=tuple(units.read(text, "Gy") for text in asked.volume_from),
        exponent=asked.exponent,
        alpha=asked.alpha,
        alpha_beta=_quantity(asked.alpha_beta, "Gy"),
        repair=_quantity(asked.repair, "s"),
        effective=_quantity(asked.effective, "s"),
    )
    return stage.dose_map(
        images,
        nuclide,
        out,
        physics=_physics(asked),
        mask=mask,
        unit=unit,
        integration=_integration(asked),
        wanted=wanted,
        uncertainties=uncertainties(asked.sd),
        progress=progress,
    )


def _physics(asked: Asked) -> stage.Physics:
    density = units.read(asked.density, "g/mL")
    kernel = None
    if asked.kernel is not None:
        kernel = table_kernel(
            asked.kernel,
            nuclide_name=asked.kernel_nuclide,
            side=_quantity(asked.kernel_side, "mm"),
            medium=asked.kernel_medium,
            unit=asked.kernel_unit,
            density=density,
        )
    return stage.Physics(
        density=density,
        density_map=asked.density_map,
        fwhm=_quantity(asked.fwhm, "mm"),
        method=asked.method,
        kernel=kernel,
        photons=_quantity(asked.photons, "mm"),
        daughters=asked.daughters,
    )


def uncertainties(texts: Sequence[str]) -> dict[str, float]:
    """Relative standard deviations by source.

    >>> uncertainties(["calibration=5 %"])
    {'calibration': 0.05}
    """
    found: dict[str, float] = {}
    for text in texts:
        name, sign, amount = text.partition("=")
        name = name.strip()
        if not sign or name not in SOURCES or name in found:
            raise InputError(
                f"sd {text[:40]!r}; expected SOURCE=PERCENT once for a source, such as "
                f"'calibration=5 %', of {', '.join(SOURCES)}"
            )
        found[name] = units.read(amount, "1")
    return found


def voxel_sums(
    tables: Sequence[Path | str],
    density: str,
    *,
    unit: str | None = None,
    nuclide: str | None = None,
    side: str | None = None,
    medium: str | None = None,
) -> list[dict[str, Any]]:
    """What tables of voxel S values hold against the electrons of ICRP-107; see `table_sums`.

    unit, nuclide, side, medium  what the tables do not say themselves
    """
    return table_sums(
        tables,
        units.read(density, "g/mL"),
        unit=unit,
        nuclide_name=nuclide,
        side=_quantity(side, "mm"),
        medium=medium,
    )


def sums_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The sums as a table for the eye."""
    head = f"{'table':24} {'nuclide':8} {'mm':>6} {'sum MeV':>9} {'ICRP-107':>9} {'ratio':>6}"
    lines = [
        f"{row['table'][:24]:24} {row['nuclide']:8} {row['side_mm']:6.3g} "
        f"{row['energy_MeV']:9.4g} {row['electrons_MeV']:9.4g} {row['ratio']:6.3f}"
        for row in rows
    ]
    return "\n".join([head, *lines])


def _integration(asked: Asked) -> Integration | None:
    if asked.times:
        return Integration(
            times=asked.times,
            corrected_to=asked.corrected_to,
            rule=asked.rule,
            start=asked.start,
            tail=asked.tail,
            fallback=asked.fallback,
        )
    if asked.corrected_to is not None or asked.tail is not None:
        raise InputError(
            "a state of decay or a tail goes with images of activity and the time of each; "
            "expected times too, or neither for an image of time-integrated activity"
        )
    return None


def _quantity(text: str | None, unit: str) -> float | None:
    return None if text is None else units.read(text, unit)
