"""The command `igdd release`: the law that a release in vitro follows; how alike products are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from igdd.cli_app import AsJson, app, say
from igdd.errors import InputError


@app.command()
def release(
    table: Annotated[
        Path | None,
        typer.Argument(help="Columns formulation, time, released; optional vessel, sd."),
    ] = None,
    models: Annotated[
        str | None, typer.Option("--models", help="Such as weibull,higuchi; default all of them.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="The formulation to compare the others with.")
    ] = None,
    time_unit: Annotated[str | None, typer.Option(help="Where the table does not say.")] = None,
    released_unit: Annotated[
        str | None, typer.Option(help="percent or fraction; likewise.")
    ] = None,
    free: Annotated[
        list[str] | None,
        typer.Option("--free", help="Tlag, Fmax, n or m: held unless freed; may be repeated."),
    ] = None,
    hold: Annotated[
        list[str] | None, typer.Option("--hold", help="NAME=VALUE, such as n=1; may be repeated.")
    ] = None,
    weights: Annotated[str, typer.Option(help="equal, or sd of each time.")] = "equal",
    up_to: Annotated[float, typer.Option(help="% to which Korsmeyer-Peppas is fitted.")] = 60.0,
    rule: Annotated[
        str, typer.Option(help="Times in f2: either (ICH M9), both (FDA 1997) past 85 %, or all.")
    ] = "either",
    plot: Annotated[
        Path | None, typer.Option("--plot", help="HTML page of profiles, models and f2.")
    ] = None,
    temperature: Annotated[
        Path | None,
        typer.Option("--temperature", help="Instead of TABLE: columns time, temperature, region."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            "--rate",
            help="With --temperature: a table of temperature and rate, or "
            "'k37=0.001/min, kmax=3/min, T50=41 Cel, w=0.4 Cel'.",
        ),
    ] = None,
    tumour: Annotated[
        Path | None,
        typer.Option(
            "--tumour", help="With --temperature, for --rate: TOML of dose, body, tumour and rate."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Release in vitro: models ranked, T50, T80, MDT, and f1, f2 of formulations."""
    if temperature is not None:
        _heated(temperature, (table, rate, tumour), as_json)
        return
    if table is None or rate is not None or tumour is not None:
        raise InputError(
            "expected a table of release, or --temperature with --rate or --tumour instead of one"
        )
    from igdd.stages.release import release as analyse
    from igdd.stages.release_text import text
    from igdd.stages.single_fit import named_values

    found = analyse(
        table, models=models.replace(" ", "").split(",") if models else None, reference=reference,
        time_unit=time_unit, released_unit=released_unit, free=tuple(free or ()),
        hold=named_values(hold or (), "--hold"), weights=weights, up_to=up_to, rule=rule,
    )  # fmt: skip
    if plot is not None:
        from igdd.report.html import page
        from igdd.report.release_page import content
        from igdd.stages.release_study import to_show

        plot.write_text(page(content(to_show(found, table.name))), encoding="utf-8")
    say(found, text(found), as_json)


def _heated(
    temperature: Path, given: tuple[Path | None, str | None, Path | None], as_json: bool
) -> None:
    """What a temperature history releases, and where the drug goes if a tumour is described."""
    from igdd.stages import heat_release, thermosensitive

    table, rate, tumour = given
    if table is not None or (rate is None) == (tumour is None):
        raise InputError("--temperature: expected --rate or --tumour beside it, and no table")
    if tumour is not None:
        course = thermosensitive.thermosensitive(tumour, temperature)
        say(course, thermosensitive.text(course), as_json)
        return
    found = heat_release.heat_release(temperature, str(rate))
    say(found, heat_release.text(found), as_json)


@app.command()
def ivivc(
    released: Annotated[
        Path, typer.Argument(help="In vitro: formulation, time, released; optional vessel.")
    ],
    plasma: Annotated[
        Path, typer.Argument(help="In vivo: subject, time, concentration, group (formulation).")
    ],
    disposition: Annotated[
        str,
        typer.Option(
            help="'k=0.1/h' (Wagner-Nelson), 'k10=0.3/h, k12=0.2/h, k21=0.1/h' (Loo-Riegelman) or "
            "'A1=0.05, k1=0.3/h' and so on (deconvolution by a unit impulse response)."
        ),
    ],
    dose: Annotated[
        list[str] | None, typer.Option("--dose", help="NAME=NUMBER of each formulation.")
    ] = None,
    time_unit: Annotated[str | None, typer.Option(help="Where the tables do not say.")] = None,
    released_unit: Annotated[str | None, typer.Option(help="percent or fraction.")] = None,
    concentration_unit: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    as_json: AsJson = False,
) -> None:
    """Release in vitro against absorption in vivo: Levy's plot, level A, prediction errors."""
    from igdd.stages.ivivc import ivivc as correlate
    from igdd.stages.ivivc import text
    from igdd.stages.single_fit import named_values

    try:
        doses = {name: float(value) for name, value in named_values(dose or (), "--dose").items()}
    except ValueError as error:
        raise InputError(f"--dose: {error}; expected NAME=NUMBER") from error
    found = correlate(
        released, plasma, disposition, dose=doses or None, time_unit=time_unit,
        released_unit=released_unit, concentration_unit=concentration_unit,
    )  # fmt: skip
    say(found, text(found), as_json)
