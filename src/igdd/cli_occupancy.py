"""The command `igdd occupancy`: the dose at which a drug occupies half of its target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from igdd.cli_app import AsJson, app, say
from igdd.errors import InputError


@app.command()
def occupancy(
    table: Annotated[
        Path,
        typer.Argument(
            help="Columns dose or concentration, occupancy; optional subject, region, sd."
        ),
    ],
    Emax: Annotated[
        float | None, typer.Option("--emax", help="Largest occupancy in %, where known: 100.")
    ] = None,
    Hill: Annotated[str, typer.Option("--hill", help="Exponent, or free.")] = "1",
    unit: Annotated[
        str | None, typer.Option("--unit", help="Of dose or concentration, where nothing says it.")
    ] = None,
    occupancy_unit: Annotated[
        str | None, typer.Option("--occupancy-unit", help="percent or fraction; likewise.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="HTML page of occupancies and curve.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Occupancy of a target over dose. ED50 (or EC50) and Emax with intervals, by region."""
    from igdd.stages.dose_occupancy import dose_occupancy, text

    try:
        exponent = None if Hill == "free" else float(Hill)
    except ValueError as error:
        raise InputError(f"--hill {Hill!r}; expected a number, or free") from error
    found = dose_occupancy(
        table, Emax=Emax, Hill=exponent, unit=unit, occupancy_unit=occupancy_unit
    )
    if plot is not None:
        from igdd.report.dose_occupancy import content
        from igdd.report.html import page

        plot.write_text(page(content(found)), encoding="utf-8")
    say(found, text(found), as_json)
