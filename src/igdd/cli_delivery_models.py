"""Commands of mechanistic delivery models: `pbpk`, `five-state`, `interstitium`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from igdd.cli_app import AsJson, app, progress_bar, say

if TYPE_CHECKING:
    from igdd.report.content import Content

Plot = Annotated[Path | None, typer.Option("--plot", help="HTML page of curves and tables.")]


@app.command()
def pbpk(
    parameters: Annotated[
        Path | None, typer.Argument(help="TOML of what differs from the mouse that ships.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--table", help="Studies, one per row; columns are parameters.")
    ] = None,
    times: Annotated[str | None, typer.Option("--times", help="Such as '1 h, 24 h, 7 d'.")] = None,
    observed: Annotated[
        Path | None, typer.Option("--observed", help="Columns study, time [h], percent_id [%].")
    ] = None,
    variant: Annotated[
        str, typer.Option("--variant", help="flow_consistent or as_published.")
    ] = "flow_consistent",
    elasticity: Annotated[
        bool, typer.Option("--elasticity", help="Which parameter limits delivery; one study.")
    ] = False,
    fit: Annotated[
        bool, typer.Option("--fit", help="The tumour's six parameters, from --observed.")
    ] = False,
    error: Annotated[
        float | None, typer.Option("--error", help="Relative sd of an observation without one.")
    ] = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Nanoparticle PBPK of mice. Tumour uptake over time, mass balance, what limits delivery."""
    from igdd.stages import pbpk as stage

    with progress_bar(as_json) as progress:
        found = stage.pbpk(
            parameters, table=table, times=stage.DEFAULT_TIMES if times is None else times,
            observed=observed, variant=variant, elasticity=elasticity, fit=fit, error=error,
            progress=lambda done, total: progress("fits", done, total),
        )  # fmt: skip
    if plot is not None:
        from igdd.report.delivery_models import pbpk_content

        _write(plot, pbpk_content(found))
    say(found.facts, stage.text(found), as_json)


@app.command("five-state")
def five_state(
    table: Annotated[Path, typer.Argument(help="Columns time [h] and amounts with their unit.")],
    dose: Annotated[str, typer.Option("--dose", help="Such as '160.3 ug' or '100 %'.")],
    administration: Annotated[
        str | None, typer.Option(help="Columns that make up this place, such as 'blood'.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Likewise: vicinity and inside.")] = None,
    off_target: Annotated[
        str | None, typer.Option(help="Likewise, such as 'liver,spleen'.")
    ] = None,
    excreted: Annotated[str | None, typer.Option(help="Likewise, such as 'urine,faeces'.")] = None,
    excreted_by_difference: Annotated[
        bool, typer.Option("--excreted-by-difference", help="Take what was found nowhere as such.")
    ] = False,
    hold: Annotated[
        list[str] | None, typer.Option("--hold", help="NAME=VALUE of a known rate: 'kin=0.4 1/h'.")
    ] = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Five-state delivery model. Rates with their profile limits, and what enters the cells."""
    from igdd.stages import five_state as stage
    from igdd.stages.single_fit import named_values

    found = stage.five_state(
        table, dose, excreted_by_difference=excreted_by_difference,
        columns=stage.Columns(
            administration=_listed(administration), target=_listed(target),
            off_target=_listed(off_target), excreted=_listed(excreted),
        ),
        hold=named_values(hold or (), "--hold"),
    )  # fmt: skip
    if plot is not None:
        from igdd.report.delivery_models import five_state_content

        _write(plot, five_state_content(found))
    say(found, stage.text(found), as_json)


@app.command()
def interstitium(
    parameters: Annotated[Path, typer.Argument(help="TOML of tumour, drug, plasma and times.")],
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Interstitial transport in a tumour. Pressure, outflow, how deep a drug gets, how evenly."""
    from igdd.stages import interstitium as stage

    found = stage.interstitium(parameters)
    if plot is not None:
        from igdd.report.delivery_models import interstitium_content

        _write(plot, interstitium_content(found))
    say(found, stage.text(found), as_json)


def _listed(names: str | None) -> tuple[str, ...]:
    return () if names is None else tuple(name.strip() for name in names.split(","))


def _write(place: Path, content: Content) -> None:
    from igdd.report.html import page

    place.write_text(page(content), encoding="utf-8")
