"""Commands that need no study: one file or table in, numbers out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from igdd.cli_app import AsJson, app, progress_bar, say
from igdd.errors import InputError

Input = Annotated[
    list[Path] | None, typer.Option("--input", help="Blood table; several, or a folder.")
]
Reference = Annotated[
    str | None, typer.Option("--reference", help="Reference tissue: a region of --curves.")
]
Artery = Annotated[str | None, typer.Option("--artery", help="Blood pool: a region of --curves.")]
Portal = Annotated[str | None, typer.Option("--portal", help="Portal vein: likewise.")]
Population = Annotated[str | None, typer.Option("--population", help="Such as parker.")]
InputOption = Annotated[
    list[str] | None,
    typer.Option("--input-option", help="NAME=VALUE: haematocrit, parent_fraction, unit ..."),
]
Hold = Annotated[
    list[str] | None, typer.Option("--hold", help="NAME=VALUE of a parameter not to be fitted.")
]
Free = Annotated[
    list[str] | None, typer.Option("--free", help="A parameter else held, such as delay.")
]
Option_ = Annotated[
    list[str] | None, typer.Option("--option", help="NAME=VALUE: an option of the model.")
]
Start = Annotated[
    str | None, typer.Option("--start", help="First frame used; t*. Such as '20 min'.")
]
End = Annotated[str | None, typer.Option("--end", help="Last frame used ends here or before.")]
UnitOf = Annotated[str | None, typer.Option("--unit", help="Where the file does not say.")]
Integration_ = Annotated[
    str | None, typer.Option("--integration", help="exact (default), instant or trapezium.")
]

Spread = Annotated[
    str | None,
    typer.Option("--sd", help="counts, equal, relative, root, or a table with sd or weights."),
]
NuclideOf = Annotated[
    str | None, typer.Option("--nuclide", help="For --sd counts, where the JSON does not say.")
]


@app.command()
def suv(
    series: Annotated[Path, typer.Argument(help="A PET series: DICOM folder or file.")],
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Label NIfTI or NRRD, SEG or RTSTRUCT.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--series", help="Text in the description of the series meant.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """SUV of a PET series, with the rule used. In a mask or everywhere; and what others give."""
    from igdd.stages.suv import suv as standardised
    from igdd.stages.suv import text

    found = standardised(series, mask, wanted=name)
    say(found, text(found), as_json)


@app.command()
def tacs(
    image: Annotated[Path, typer.Argument(help="A dynamic or static image.")],
    regions: Annotated[Path, typer.Argument(help="Label NIfTI or NRRD, SEG or RTSTRUCT.")],
    out: Annotated[Path | None, typer.Option("--out", help="TSV to write, with its JSON.")] = None,
    unit: Annotated[
        str | None, typer.Option("--unit", help="Unit of the image where it does not say.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time-activity curves of regions. The mean in each frame, as a PETPrep TSV."""
    from igdd.stages.tacs import check_free, tsv, write
    from igdd.stages.tacs import tacs as curves

    if out is not None:
        check_free(out)
    found = curves(image, regions, unit)
    if out is not None:
        write(found, out)
    say(found, tsv(found).rstrip("\n") if out is None else f"curves: {out}", as_json)


@app.command()
def fit(
    model: Annotated[str, typer.Argument(help="`igdd list models` names them.")],
    curves: Annotated[
        list[Path],
        typer.Option(
            "--curves",
            help="Curves as `tacs` writes; several, one for each bed. Or subject, time, "
            "concentration.",
        ),
    ],
    blood: Input = None,
    reference: Reference = None,
    artery: Artery = None,
    portal: Portal = None,
    population: Population = None,
    input_option: InputOption = None,
    start: Start = None,
    end: End = None,
    hold: Hold = None,
    free: Free = None,
    option: Option_ = None,
    unit: Annotated[
        str | None,
        typer.Option("--unit", "--concentration-unit", help="Where the file does not say."),
    ] = None,
    time_unit: Annotated[
        str | None, typer.Option("--time-unit", help="Of times, where the file does not say.")
    ] = None,
    integration: Integration_ = None,
    sd: Spread = None,
    nuclide: NuclideOf = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="95 % limits of parameters by profile likelihood.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="HTML page of curves and fits.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit a kinetic model to the curves of regions. Parameters, standard errors, flags, AICc."""
    from igdd.stages import single_fit
    from igdd.stages.fit_text import text
    from igdd.stages.frame_noise import read_spread
    from igdd.stages.sample_fit import fit_file

    seen = single_fit.Seen(
        tables=tuple(blood or ()), reference=reference, artery=artery, portal=portal,
        population=population, options=single_fit.input_options(input_option or ()),
    )  # fmt: skip
    made = fit_file(
        model, curves, seen, unit=unit, time_unit=time_unit, start=start, end=end,
        sd=read_spread(sd), nuclide=nuclide,
        hold=single_fit.named_values(hold or (), "--hold"), free=tuple(free or ()),
        integration=integration, profile=profile,
        **single_fit.model_options(model, option or ()),
    )  # fmt: skip
    if plot is not None:
        from igdd.report.content import content
        from igdd.report.html import page

        results = single_fit.results(made, f"{model}: {', '.join(one.name for one in curves)}")
        plot.write_text(page(content(results)), encoding="utf-8")
    say(single_fit.entries(made), "\n\n".join(text(one.fit) for one in made), as_json)


@app.command(name="map")
def map_(
    model: Annotated[str, typer.Argument(help="`igdd list models` names them.")],
    image: Annotated[Path, typer.Option("--image", help="Dynamic NIfTI with its sidecar.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the maps.")],
    blood: Input = None,
    mask: Annotated[Path | None, typer.Option("--mask", help="Voxels to fit; default all.")] = None,
    curves: Annotated[
        Path | None, typer.Option("--curves", help="Curves of regions that serve as inputs.")
    ] = None,
    reference: Reference = None,
    artery: Artery = None,
    portal: Portal = None,
    population: Population = None,
    input_option: InputOption = None,
    start: Start = None,
    end: End = None,
    hold: Hold = None,
    free: Free = None,
    option: Option_ = None,
    unit: UnitOf = None,
    integration: Integration_ = None,
    sd: Spread = None,
    nuclide: NuclideOf = None,
    as_json: AsJson = False,
) -> None:
    """Fit a kinetic model to every voxel. Maps of parameters, standard errors and flags."""
    from igdd.stages import single_fit
    from igdd.stages.fit_text import described, map_text
    from igdd.stages.frame_noise import read_spread

    seen = single_fit.Seen(
        tables=tuple(blood or ()), reference=reference, artery=artery, portal=portal,
        population=population, options=single_fit.input_options(input_option or ()),
    )  # fmt: skip
    with progress_bar(as_json) as progress:
        found = single_fit.map_file(
            model, image, seen, out, curves=curves, unit=unit, mask=mask, start=start, end=end,
            sd=read_spread(sd), nuclide=nuclide,
            hold=single_fit.named_values(hold or (), "--hold"), free=tuple(free or ()),
            integration=integration, **single_fit.model_options(model, option or ()),
            progress=lambda done, total: progress("voxels", done, total),
        )  # fmt: skip
    say(described(found), map_text(found), as_json)


@app.command()
def nca(
    table: Annotated[
        Path, typer.Argument(help="Columns subject, time, concentration; optional group, organ.")
    ],
    dose: Annotated[str | None, typer.Option(help="Such as '320 mg' or '5 mg/kg'.")] = None,
    route: Annotated[str, typer.Option(help="extravascular, bolus or infusion.")] = "extravascular",
    infusion_time: Annotated[str | None, typer.Option(help="Such as '0.25 h'.")] = None,
    auc: Annotated[str, typer.Option(help="linear, linear-up-log-down or linear-log.")] = "linear",
    time_unit: Annotated[str | None, typer.Option(help="Where the table does not say.")] = None,
    concentration_unit: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    limit: Annotated[str | None, typer.Option(help="Limit of quantification.")] = None,
    limit_sd: Annotated[
        float | None, typer.Option(help="The limit in standard deviations (column sd).")
    ] = None,
    below: Annotated[
        str,
        typer.Option(
            help="What stands for values below it: as-given, zero, drop, middle-dropped, "
            "half-after-peak."
        ),
    ] = "as-given",
    interval: Annotated[
        tuple[str, str] | None, typer.Option(help="Two times, for a partial area.")
    ] = None,
    sparse: Annotated[
        bool, typer.Option("--sparse", help="Another animal at each time, or batches of them.")
    ] = False,
    tail_mean: Annotated[
        str, typer.Option(help="With --sparse: geometric or arithmetic.")
    ] = "geometric",
    plasma: Annotated[
        str | None, typer.Option(help="With --sparse: the organ that Kp divides by.")
    ] = None,
    between: Annotated[
        tuple[str, str] | None, typer.Option(help="With --sparse: two groups to compare.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Exposure by non-compartmental analysis. AUC, half-life, clearance, volumes, by CDISC code."""
    shared: dict[str, Any] = {
        "dose": dose, "route": route, "infusion_time": infusion_time,
        "time_unit": time_unit, "concentration_unit": concentration_unit,
    }  # fmt: skip
    whole: dict[str, Any] = {
        "auc": auc,
        "limit": limit,
        "limit_sd": limit_sd,
        "below": below,
        "interval": interval,
    }
    pooled: dict[str, Any] = {"tail_mean": tail_mean, "plasma": plasma, "between": between}
    other = {"auc": "linear", "below": "as-given", "tail_mean": "geometric"}
    misplaced = [
        name for name, value in (whole if sparse else pooled).items() if value != other.get(name)
    ]
    if misplaced:
        raise InputError(
            f"--{misplaced[0].replace('_', '-')} {'with' if sparse else 'without'} --sparse; "
            "expected it the other way round; a sparse design has the linear rule only"
        )
    if sparse:
        from igdd.stages.nca_sparse import nca_sparse
        from igdd.stages.nca_sparse import text as sparse_text

        found = nca_sparse(table, **shared, **pooled)
        say(found, sparse_text(found), as_json)
        return
    from igdd.stages.nca import nca as analyse
    from igdd.stages.nca import text

    found = analyse(table, **shared, **whole)
    say(found, text(found), as_json)


@app.command()
def features(
    image: Annotated[Path, typer.Argument(help="An image: NIfTI, NRRD, or a DICOM folder.")],
    mask: Annotated[Path, typer.Argument(help="Label NIfTI or NRRD, SEG or RTSTRUCT.")],
    config: Annotated[
        str,
        typer.Option(
            "--config",
            help="volume, ibsi_digital_phantom, ibsi_a to ibsi_e, ibsi_validation_pet, _ct or _mr; "
            "or a TOML file of your own.",
        ),
    ] = "volume",
    region: Annotated[
        str | None, typer.Option("--region", help="The region meant, where there are several.")
    ] = None,
    frame: Annotated[
        int | None, typer.Option("--frame", help="The frame meant, from 0, of several.")
    ] = None,
    details: Annotated[
        bool, typer.Option("--details", help="With --json: units, codes, flags and the hash too.")
    ] = False,
    window: Annotated[
        str | None,
        typer.Option(
            "--window", help="Such as '9 mm': maps of a ball around each voxel, to --out."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="With --window: folder for the maps.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """IBSI 1 features of a region. Values by tag, as a named configuration prepares the image."""
    if (window is None) != (out is None):
        raise InputError("--window and --out go together: maps are written to a folder")
    if window is not None and out is not None:
        from igdd.stages.feature_maps import text as maps_text
        from igdd.stages.feature_maps import write_feature_maps

        with progress_bar(as_json) as progress:
            made = write_feature_maps(
                image, mask, window, out, config, region=region, frame=frame, progress=progress
            )
        say(made, maps_text(made), as_json)
        return
    from igdd.stages.features import features as compute
    from igdd.stages.features import tags, text

    found = compute(image, mask, config, region=region, frame=frame)
    say(found if details else tags(found), text(found), as_json)


@app.command("filter")
def respond(
    image: Annotated[Path, typer.Argument(help="An image: NIfTI, NRRD, or a DICOM folder.")],
    out: Annotated[Path, typer.Option("--out", help="The NIfTI file to write.")],
    config: Annotated[
        str, typer.Option("--config", help="Name of a configuration with a filter, or a TOML file.")
    ],
    frame: Annotated[
        int | None, typer.Option("--frame", help="The frame meant, from 0, of several.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """IBSI 2 response map of an image: filtered as a named configuration has it."""
    from igdd.stages.response_map import text, write_response

    found = write_response(image, out, config, frame)
    say(found, text(found), as_json)


@app.command()
def together(
    image_a: Annotated[Path, typer.Argument(help="Map A, such as the drug.")],
    image_b: Annotated[Path, typer.Argument(help="Map B, such as the target.")],
    mask: Annotated[Path, typer.Argument(help="Label NIfTI or NRRD, SEG or RTSTRUCT.")],
    region: Annotated[
        str | None, typer.Option("--region", help="The region meant, where there are several.")
    ] = None,
    names: Annotated[
        tuple[str, str] | None, typer.Option("--names", help="What A and B are called.")
    ] = None,
    above_a: Annotated[
        str,
        typer.Option(help="From where A is hot: a value, median, mean, costes, or such as p75."),
    ] = "median",
    above_b: Annotated[str, typer.Option(help="Likewise.")] = "median",
    fwhm_a: Annotated[
        str | None, typer.Option(help="Point spread of A, such as '6 mm'. The sharper is blurred.")
    ] = None,
    fwhm_b: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    grid: Annotated[str, typer.Option(help="Voxels to compare on: coarser, a or b.")] = "coarser",
    reach: Annotated[str | None, typer.Option(help="Longest lag to try, such as '20 mm'.")] = None,
    frame_a: Annotated[int | None, typer.Option(help="The frame meant, from 0.")] = None,
    frame_b: Annotated[int | None, typer.Option(help="Likewise.")] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="HTML page: table, joint histogram, slice.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Two maps of a region. Is the drug where the target is, and where is it not?"""
    from igdd.stages.together import Asked, text
    from igdd.stages.together import together as compare

    found = compare(
        image_a, image_b, mask,
        Asked(region=region, names=names, frames=(frame_a, frame_b), above=(above_a, above_b),
              fwhm=(fwhm_a, fwhm_b), grid=grid, reach=reach),
    )  # fmt: skip
    if plot is not None:
        from igdd.report.html import page
        from igdd.report.together import content

        plot.write_text(page(content(found)), encoding="utf-8")
    say(found.facts, text(found), as_json)
