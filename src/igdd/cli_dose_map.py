"""Commands of voxel dosimetry: dose of every voxel, and what tables of voxel S values hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from igdd.cli_app import AsJson, app, progress_bar, say

TableUnit = Annotated[
    str | None, typer.Option("--kernel-unit", help="Of S, where the table does not say.")
]
TableNuclide = Annotated[str | None, typer.Option("--kernel-nuclide", help="Likewise.")]
TableSide = Annotated[str | None, typer.Option("--kernel-side", help="Likewise: '3 mm'.")]
TableMedium = Annotated[str | None, typer.Option("--kernel-medium", help="Likewise.")]


@app.command("dose-map")
def dose_map(
    images: Annotated[
        list[Path],
        typer.Argument(help="One NIfTI of time-integrated activity, or several of activity."),
    ],
    nuclide: Annotated[str, typer.Option("--nuclide", help="Such as Lu-177.")],
    density: Annotated[str, typer.Option("--density", help="Of the tissue, as '1.04 g/mL'.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for dose, tables and account.")],
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Regions: label NIfTI or NRRD, SEG or RTSTRUCT.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option("--unit", help="Of the images: Bq.s/mL, Bq/mL ...")
    ] = None,
    time: Annotated[
        list[str] | None, typer.Option("--time", help="Of each image of activity: '4 h'.")
    ] = None,
    corrected_to: Annotated[
        str | None,
        typer.Option("--corrected-to", help="Decay: none, administration, or a time."),
    ] = None,
    rule: Annotated[
        str, typer.Option("--rule", help="trapezoid, mono-exponential or haenscheid.")
    ] = "trapezoid",
    start: Annotated[
        str, typer.Option("--start", help="Before the first image: triangle or extrapolate.")
    ] = "triangle",
    tail: Annotated[
        str | None,
        typer.Option(
            "--tail", help="After the last: physical, last_two, last_three, none, '50 h'."
        ),
    ] = None,
    fallback: Annotated[
        str | None,
        typer.Option("--fallback", help="Half-life of voxels without a tail of their own: 50 h."),
    ] = None,
    fwhm: Annotated[
        str | None, typer.Option("--fwhm", help="Sharpness of the images: '12 mm'.")
    ] = None,
    method: Annotated[str, typer.Option("--method", help="auto, kernel or local.")] = "auto",
    kernel: Annotated[
        Path | None, typer.Option("--kernel", help="A table of voxel S values, instead of own.")
    ] = None,
    kernel_unit: TableUnit = None,
    kernel_nuclide: TableNuclide = None,
    kernel_side: TableSide = None,
    kernel_medium: TableMedium = None,
    photons: Annotated[
        str | None, typer.Option("--photons", help="Follow them too, up to: '20 cm'.")
    ] = None,
    density_map: Annotated[
        Path | None, typer.Option("--density-map", help="NIfTI of densities in g/mL.")
    ] = None,
    daughters: Annotated[
        str | None, typer.Option("--daughters", help="equilibrium or none.")
    ] = None,
    volume_from: Annotated[
        list[str] | None, typer.Option("--volume-from", help="Dose of a V: '70 Gy'.")
    ] = None,
    eud: Annotated[float | None, typer.Option("--eud", help="Exponent of the gEUD.")] = None,
    alpha: Annotated[float | None, typer.Option("--alpha", help="1/Gy, for EUD, EUBED.")] = None,
    alpha_beta: Annotated[str | None, typer.Option("--alpha-beta", help="'2.6 Gy', BED.")] = None,
    repair: Annotated[str | None, typer.Option("--repair", help="Half-life of repair.")] = None,
    effective: Annotated[
        str | None, typer.Option("--effective", help="Half-life of the dose rate.")
    ] = None,
    sd: Annotated[
        list[str] | None,
        typer.Option("--sd", help="calibration=5 %, time_integration=10 % ..."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Dose-volume histogram: .html or .png.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Dose of every voxel in Gy. Kernel or local deposition, with DVH, EUD and BED of regions."""
    from igdd.stages import dose_call
    from igdd.stages.dose_results import text

    asked: dict[str, Any] = {
        "density": density, "density_map": density_map, "fwhm": fwhm, "method": method,
        "kernel": kernel, "kernel_unit": kernel_unit, "kernel_nuclide": kernel_nuclide,
        "kernel_side": kernel_side, "kernel_medium": kernel_medium, "photons": photons,
        "daughters": daughters,
        "times": tuple(time or ()), "corrected_to": corrected_to, "rule": rule, "start": start,
        "tail": tail, "fallback": fallback, "volume_from": tuple(volume_from or ()),
        "exponent": eud, "alpha": alpha, "alpha_beta": alpha_beta, "repair": repair,
        "effective": effective, "sd": tuple(sd or ()),
    }  # fmt: skip
    if plot is not None:
        from igdd.report.dose_map import check_plot

        check_plot(plot, mask)
    with progress_bar(as_json) as progress:
        found = dose_call.dose_map(
            images, nuclide, out, mask=mask, unit=unit, progress=progress, **asked
        )
    if plot is not None:
        from igdd.report.dose_map import write_plot

        write_plot(found, plot)
    say(found.facts, text(found.facts, found.dose), as_json)


@app.command("voxel-s")
def voxel_s(
    tables: Annotated[list[Path], typer.Argument(help="Tables: nuclide, voxel, i j k S.")],
    density: Annotated[str, typer.Option("--density", help="Of the medium, as '1.04 g/mL'.")],
    kernel_unit: TableUnit = None,
    kernel_nuclide: TableNuclide = None,
    kernel_side: TableSide = None,
    kernel_medium: TableMedium = None,
    as_json: AsJson = False,
) -> None:
    """Tables of voxel S values against ICRP-107. What the sum holds; never scaled by it."""
    from igdd.stages import dose_call

    found = dose_call.voxel_sums(
        tables, density, unit=kernel_unit, nuclide=kernel_nuclide, side=kernel_side,
        medium=kernel_medium,
    )  # fmt: skip
    say(found, dose_call.sums_text(found), as_json)
