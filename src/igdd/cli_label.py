"""`igdd shedding` and `igdd retention`: whether label, carrier and drug are still one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from igdd.cli_app import AsJson, app, say


@app.command()
def shedding(
    table: Annotated[
        Path, typer.Argument(help="Columns subject, time, place, activity, sd; optional group.")
    ],
    control: Annotated[
        Path | None, typer.Option("--control", help="The same after free label alone.")
    ] = None,
    carrier: Annotated[
        str | None,
        typer.Option("--carrier", help="The same after a label that stays on; or none."),
    ] = None,
    voids: Annotated[
        str | None, typer.Option("--voids", help="Columns subject, time, activity, sd; or none.")
    ] = None,
    control_voids: Annotated[
        str | None, typer.Option("--control-voids", help="Likewise, of the controls.")
    ] = None,
    at: Annotated[
        list[str] | None, typer.Option("--at", help="A time to report, such as '24 h'.")
    ] = None,
    residual: Annotated[
        float, typer.Option(help="Share of a bladder that a void leaves behind.")
    ] = 0.0,
    margin: Annotated[
        float, typer.Option(help="Released fraction up to which label counts as on its carrier.")
    ] = 0.05,
    sparse: Annotated[
        bool, typer.Option("--sparse", help="Another animal at each time: groups as a whole.")
    ] = False,
    sampling_cv: Annotated[
        float | None, typer.Option(help="Relative sd of a sample beyond its sd.")
    ] = None,
    uncorrected: Annotated[
        str | None, typer.Option(help="Nuclide, where values are not corrected for decay.")
    ] = None,
    time_unit: Annotated[str | None, typer.Option(help="Where the tables do not say.")] = None,
    unit: Annotated[str | None, typer.Option(help="Of the activity, likewise.")] = None,
    as_json: AsJson = False,
) -> None:
    """Released label over time, from urine or a sink organ. Needs a control with free label."""
    from igdd.stages.label_stability import shedding as deconvolve
    from igdd.stages.label_summary import text

    found = deconvolve(
        table, control, carrier=carrier, voids=voids, control_voids=control_voids, at=at or (),
        residual=residual, margin=margin, sparse=sparse, sampling_cv=sampling_cv,
        uncorrected=uncorrected, time_unit=time_unit, unit=unit,
    )  # fmt: skip
    say(found, text(found), as_json)


@app.command()
def retention(
    table: Annotated[
        Path, typer.Argument(help="Columns subject, time, place, analyte, activity, sd.")
    ],
    given: Annotated[
        float | None, typer.Option(help="Drug over carrier in what was given; else first time.")
    ] = None,
    given_sd: Annotated[float, typer.Option(help="Its standard deviation.")] = 0.0,
    shared: Annotated[
        float, typer.Option(help="Correlation of the two labels' calibrations.")
    ] = 0.0,
    margin: Annotated[tuple[float, float], typer.Option(help="What counts as 1.")] = (0.80, 1.25),
    drug_nuclide: Annotated[str, typer.Option(help="Label of the drug, such as I-124.")] = "",
    carrier_nuclide: Annotated[str, typer.Option(help="Label of the carrier.")] = "",
    time_unit: Annotated[str | None, typer.Option(help="Where the table does not say.")] = None,
    as_json: AsJson = False,
) -> None:
    """Two labels, carrier and drug. Do they travel together, and if not: release or artefact?"""
    from igdd.stages.label_retention import retention as judge
    from igdd.stages.label_retention import text

    found = judge(
        table, given=given, given_sd=given_sd, shared=shared, margin=margin,
        drug_nuclide=drug_nuclide, carrier_nuclide=carrier_nuclide, time_unit=time_unit,
    )  # fmt: skip
    say(found, text(found), as_json)
