"""The command `igdd dose`: time-integrated activity and absorbed dose of organs and lesions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from igdd.cli_app import AsJson, app, say


@app.command()
def dose(
    table: Annotated[
        Path,
        typer.Argument(
            help="Columns region, time, activity; optional sd, volume or mass, their sd, density, "
            "subject, human_mass."
        ),
    ],
    nuclide: Annotated[str, typer.Option(help="Such as Lu-177.")],
    corrected_to: Annotated[
        str | None,
        typer.Option(help="none (as it was at each time) or administration: must be said."),
    ] = None,
    administered: Annotated[str | None, typer.Option(help="Net, such as '7.4 GBq'.")] = None,
    density: Annotated[
        str | None, typer.Option(help="Such as '1.04 g/mL': makes a mass of a volume.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="auto, haenscheid, population, log_linear, trapezoid, mono_exponential, "
            "bi_exponential, tri_exponential, uptake_clearance, uptake_two_phase_clearance."
        ),
    ] = "auto",
    declared: Annotated[
        str | None, typer.Option(help="The model that stands where AICc may not choose.")
    ] = None,
    start: Annotated[str, typer.Option(help="Trapezoid: triangle or extrapolate.")] = "triangle",
    tail: Annotated[
        str, typer.Option(help="Trapezoid: last_two, last_three, physical or none.")
    ] = "last_three",
    weights: Annotated[str, typer.Option(help="sd, where the table has it, or equal.")] = "sd",
    at: Annotated[
        str | None, typer.Option(help="The one measurement to use, such as '72 h'.")
    ] = None,
    half_life: Annotated[
        str | None, typer.Option(help="Population: effective half-life, such as '51 h'.")
    ] = None,
    half_life_spread: Annotated[
        float | None, typer.Option(help="Population: geometric standard deviation, such as 1.25.")
    ] = None,
    daughters: Annotated[
        str | None, typer.Option(help="Progeny decays with its parent: equilibrium; or none.")
    ] = None,
    s_values: Annotated[
        Path | None, typer.Option(help="Table target, source, s [mGy/(MBq.s)], target_mass [g].")
    ] = None,
    alpha_beta: Annotated[str | None, typer.Option(help="Such as '2.6 Gy'.")] = None,
    repair: Annotated[str | None, typer.Option(help="Half-life, such as '2.8 h'.")] = None,
    calibration_cv: Annotated[float, typer.Option(help="Relative sd, such as 0.03.")] = 0.0,
    recovery_cv: Annotated[float, typer.Option(help="Relative sd, such as 0.05.")] = 0.0,
    elasticity: Annotated[float, typer.Option(help="d ln activity / d ln volume: 0 to 1.")] = 0.0,
    from_mouse: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Body weights of mouse and human: scale uptake to the human."),
    ] = None,
    scale_time: Annotated[
        bool, typer.Option("--scale-time", help="With --from-mouse: times by weight^0.25.")
    ] = False,
    hematocrit: Annotated[
        float | None, typer.Option(help="Red marrow from the region blood, such as 0.42.")
    ] = None,
    carrier: Annotated[
        str | None, typer.Option(help="With --hematocrit: what carries the label.")
    ] = None,
    time_unit: Annotated[str | None, typer.Option(help="Where the table does not say.")] = None,
    activity_unit: Annotated[str | None, typer.Option(help="Likewise; MBq or %.")] = None,
    volume_unit: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    mass_unit: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="HTML page of curves and doses, or a PNG.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Dose to organs and lesions from their activity over time, with the share of the tail."""
    if plot is not None:
        from igdd.report.dose import check_plot

        check_plot(plot)
    from igdd.stages.dose import dose as compute
    from igdd.stages.dose import text

    found = compute(
        table, nuclide=nuclide, corrected_to=corrected_to, administered=administered,
        density=density, method=method, declared=declared, start=start, tail=tail, weights=weights,
        at=at, half_life=half_life, half_life_spread=half_life_spread, daughters=daughters,
        s_values=s_values, alpha_beta=alpha_beta, repair=repair, calibration_cv=calibration_cv,
        recovery_cv=recovery_cv, elasticity=elasticity, from_mouse=from_mouse,
        scale_time=scale_time, hematocrit=hematocrit, carrier=carrier, time_unit=time_unit,
        activity_unit=activity_unit, volume_unit=volume_unit, mass_unit=mass_unit,
    )  # fmt: skip
    if plot is not None:
        from igdd.report.dose import write_plot

        write_plot(found, plot, f"Dose: {table.name}")
    say(found, text(found), as_json)
