"""The one table of flags: every caution that a result can carry, and what it means.

A flag never changes a number. It stands beside it in the table and is explained in the report.
"""

from __future__ import annotations

from collections.abc import Iterable

from igdd.errors import InputError

FLAGS: dict[str, str] = {
    "absorption_unfinished": "The share absorbed still rises by more than 5 % over the last "
    "interval: absorption may go on beyond the last sample, and the shares are too high.",
    "acquisition_reference": "Decay reference taken from the earliest acquisition time, the last "
    "resort; up to 2 % high for multi-bed scans.",
    "activity_missing": "A measurement without an activity was left out.",
    "acquisition_override": "The repetition time, flip angle or frame times that the caller gave "
    "differ from the file's; the caller's were used.",
    "administered_yesterday": "The administration time of day was later than the scan; the day "
    "before was taken (half-life under 11.5 h).",
    "arithmetic_means": "More than 5 % of the estimates are at or below zero: arithmetic means "
    "were compared by Fieller's interval, not geometric means.",
    "assessability_unknown": "Uptake times, doses or reference uptakes of the scans are not "
    "all known: whether they may be compared was not fully checked.",
    "at_bound": "A fitted parameter lies at the bound of what is possible; its standard error is "
    "not meaningful.",
    "b1_not_usable": "The share of the flip angle is missing, or outside 10 to 300 %: there is no "
    "concentration; NaN.",
    "back_extrapolated_over_fifth": "More than 20 % of the area lies before the first sample "
    "after a bolus.",
    "baseline_not_positive": "The mean signal before the agent came is not a number above zero: "
    "there is no concentration; NaN.",
    "below_limit": "The profile holds values below the limit of quantification; what stands for "
    "them was chosen in the call, and none enters the terminal regression.",
    "below_limit_left_out": "Samples below the limit of quantification, without a number, were "
    "left out of the fit.",
    "blood_counted_twice": "The blood's row holds all blood, part of which is in the other regions "
    "too; nobody said which share of it lies elsewhere.",
    "blood_exceeds_region": "The blood said to be in the region holds more than the region: its "
    "share, or the blood's concentration, is too high.",
    "blood_from_plasma": "Whole blood was measured for a shorter time than plasma; after its last "
    "sample it was taken as plasma over their ratio.",
    "blood_recordings_differ": "Manual samples and the autosampler differ by more than 10 % where "
    "both ran; neither was changed.",
    "bolus_from_zero": "The sample at the time of the bolus is not above zero: it may have been "
    "drawn before it.",
    "branching_unknown": "Nobody said whether the positron branching ratio was applied.",
    "calibration_sd_unknown": "No uncertainty of the scanner's calibration was declared; it is not "
    "in the interval.",
    "carrier_type_only": "The prior knows of a carrier only whether it is organic, inorganic or "
    "hybrid: it was compared with its whole type.",
    "concentration_missing": "A sample without a concentration was left out.",
    "contour_gap": "The region's outlines skip planes; nothing was filled in between them.",
    "control_ends_early": "The controls were followed for a shorter time than the subject: free "
    "label was taken to stay as it was at their last time.",
    "control_scatter_unknown": "A single control animal: how animals differ in what free label "
    "does is not in the interval.",
    "cross_dose_missing": "Only what the region itself sends out is in its dose: no S values "
    "from other regions were given.",
    "decay_spread": "Other decay-reference candidates in the header differ by more than 1 %.",
    "decay_state_assumed": "Nothing says whether blood is corrected for decay; the image's state "
    "was taken.",
    "decay_state_doubtful": "Late blood falls about as fast as its nuclide decays, or faster, and "
    "nothing says that it is corrected for decay; the image's state was taken.",
    "delay_not_seen": "All frames begin long after the peak of the input, so that they do not tell "
    "the delay of the blood; it was held at 0 s.",
    "dispersion_not_corrected": "The sampler's JSON says that its blood is not corrected for "
    "dispersion, and nobody gives the time constant: the bolus stands too wide, Vb too large.",
    "dose_differs": "The file's dose and the study's net activity differ by more than 10 %; the "
    "study's was used.",
    "dose_equivalent": "Mass of drug in the tissue as if all that carries the label still held "
    "its drug, which nobody showed.",
    "dose_in_megabecquerel": "The dose is below 1e4 and was read as MBq: some scanners write so.",
    "dose_left_image": "More than 1 % of the energy was carried out of the image: dose near its "
    "edges is too low.",
    "dose_sd_unknown": "No uncertainty of the administered activity was given; it is not in the "
    "interval.",
    "dose_time_assumed": "Times count from the start of the scan, which was taken for that of the "
    "dose.",
    "dose_unknown": "No dose was given: there is no clearance and no volume.",
    "dose_zero": "The dose is zero: there is no clearance and no volume.",
    "doubtful_regions_left_out": "Regions whose fit is poorly identified, at a bound, not "
    "converged or missing in either session were left out of the comparison.",
    "duplicate_name": "Two regions of a file had the same name; the later one carries a number.",
    "duplicate_sample": "The same sample was in the table twice; it was used once.",
    "duplicate_slice": "The same slice was present twice with the same content; one was used.",
    "effective_rate_at_physical": "The activity falls no faster than by decay, at which its rate "
    "was held: uptake may still rise, and the number is a bound.",
    "estimate_not_positive": "An estimate at or below zero was left out of the comparison on the "
    "log scale.",
    "empty_region": "The region holds no voxel of the image; its values are NaN.",
    "enhanced_before_input": "The curve is well above zero before any input rises: a baseline was "
    "not taken off, or the input's clock or delay is another.",
    "excluded": "Left out by the study, with the reason given there.",
    "extrapolated_over_fifth": "More than 20 % of the area lies beyond the last measured "
    "concentration.",
    "feature_undefined": "The region leaves this feature undefined (too few voxels or levels, a "
    "quotient by zero) or is too large for it; NaN.",
    "few_comparable_studies": "Fewer than ten studies of the prior are like this one, or too few "
    "to regress: its place among its kind is uncertain.",
    "few_independent_samples": "The region's grain leaves fewer than ten independent samples, "
    "or their number is unknown: intervals are wide, or have no bounds.",
    "few_voxels": "Fewer than 64 voxels: texture then says little but how large the region is.",
    "fit_sd_unknown": "Neither standard deviations of the activities nor spare measurements: the "
    "fit's own uncertainty is not in the interval.",
    "fractions_suspected": "No value is above 1.5 %, by the unit stated: they look like fractions.",
    "frame_reference_is_start": "FrameReferenceTime is the frame's start, not its average time.",
    "free_label_sink": "Free label is known to gather, or to pass, in this place: its ratio of "
    "labels says nothing of the drug by itself.",
    "half_life_differs": "The header's half-life differs from ICRP-107 by more than 0.1 %; the "
    "header's was used.",
    "header_warning": "The reading library warned about this file; see the run log.",
    "importance_weights_few": "Fewer than a tenth of the draws from the posterior count: it is far "
    "from the normal one around its maximum.",
    "incomplete": "The curve does not show all that was asked of it (it ends too early, has a gap "
    "or still rises): NaN there.",
    "initial_not_falling": "The first two concentrations after the bolus do not fall: the first "
    "stands for the one at time zero.",
    "input_extended": "The input ends within the last frame; it was carried on at its last value.",
    "input_model_misfit": "The fitted input's area differs by more than 5 % from its samples': "
    "the model does not describe them.",
    "input_peak_missed": "The highest sample of the input is its first: what came before it was "
    "not measured.",
    "input_taken_as_plasma": "The artery and the portal vein were taken as plasma, for no "
    "haematocrit was given: if they show whole blood, flows and volumes are too large by "
    "1 / (1 - haematocrit).",
    "interval_beyond_last": "The interval of the partial area ends after the last measured "
    "concentration: the rest is extrapolated by lambda_z.",
    "interior_empty": "No voxel lies a point spread or more below the region's rim: there is no "
    "interior to measure; NaN.",
    "interval_unbounded": "The reference arm's mean cannot be told from zero: the ratio's interval "
    "has no bounds.",
    "kernel_blurs_twice": "The image is blurred by more than the range of the particles: a "
    "kernel blurs it once more.",
    "little_activity_left": "Less than 1 % of the label's activity is left at this time: counting "
    "statistics and background rule the value.",
    "marrow_from_blood": "Marrow activity was taken from blood: right only for an agent that "
    "marrow does not take up.",
    "low_power": "The test is weak here: a core of half the lesion's width and half its uptake "
    "would be found in less than 80 % (cold_core_power). Not found does not mean even.",
    "mass_assumed_density": "Mass is volume times the declared density; no organ was weighed.",
    "mass_sd_unknown": "No uncertainty of the weighed mass was given; it is not in the interval.",
    "model_declared": "Too few measurements for AICc to choose a model: the declared one stands, "
    "and the spread over models is in the uncertainty.",
    "nan_voxels": "The region holds voxels without a value; they were left out.",
    "negative_activity": "An activity is below zero; it was used as measured.",
    "negative_concentration": "A concentration is below zero; it is part of the linear areas, as "
    "measured, and of no logarithm.",
    "negative_voxels": "The region holds values below zero; they count as measured, so that "
    "shares of an amount may leave 0 to 100 %.",
    "no_metabolite_correction": "No parent fraction was measured: the plasma input holds "
    "metabolites, as far as there are any.",
    "noise_exceeds_spread": "The voxels scatter no more than their noise does: no unevenness can "
    "be told from it, and 0 stands as its estimate.",
    "noise_unknown": "No replicate frames and no declared noise model: image noise is not in the "
    "uncertainty.",
    "not_above_zero_left_out": "A sample at or below zero has no standard deviation in proportion "
    "to its value; it was left out of the fit.",
    "not_attenuation_corrected": "Values are not corrected for attenuation; the study declares it.",
    "not_converged": "The fit stopped before its sum of squares had settled; the parameters are "
    "its last.",
    "not_estimable": "Too little was left to estimate this finding; its sentence says what lacks.",
    "not_fitted": "The curve could not be fitted (too few frames, no signal, or a value missing); "
    "NaN.",
    "nothing_measured": "No concentration is above zero and above the limit.",
    "nothing_released": "No mean value is above zero: there is nothing to fit.",
    "nuclide_code_differs": "The radionuclide code contradicts its meaning or half-life; the "
    "half-life decides.",
    "one_label_only": "Carrier and drug were not both measured here: there is no retention index.",
    "other_samples": "The model was fitted to fewer samples than the others (early ones only): it "
    "is not ranked with them.",
    "outside_prior": "Size or tumour weight lies beyond those of the prior: its place is "
    "extrapolated.",
    "other_image_missing": "The visit has no image of the name that its image was to be held "
    "against; NaN.",
    "overlap_counted_once": "Regions overlap: the ledger counts the shared part once, in the "
    "smaller region.",
    "own_activity_missing": "The region's own activity was not measured: its dose is what other "
    "regions send.",
    "parent_fraction_extended": "The parent fraction was measured for less than 90 % of the "
    "plasma's time; after its last sample it was carried on.",
    "partly_outside": "Part of the region lies outside the image.",
    "peak_at_first_sample": "The highest concentration is the first: the true peak may lie "
    "before it.",
    "peak_at_last_sample": "The highest concentration is the last: the true peak may lie after it.",
    "peak_beyond_region": "More than half of the 1 mL sphere lies outside the region, which "
    "is small.",
    "peak_cut": "Part of the 1 mL sphere lies outside the image or on voxels without a value.",
    "peak_undefined": "No sphere of 1 mL could be placed (none lies inside the region, or the "
    "voxels are too small for the search); NaN.",
    "philips_factors_differ": "The SUV and activity scale factors of the header differ by more "
    "than 1 %.",
    "photons_left_out": "Photons carry more than 1 % of the energy of a decay; what they leave is "
    "not in the dose.",
    "poorly_identified": "The data do not determine this parameter: other values fit about as "
    "well.",
    "posterior_near_prior": "The samples say little beyond the population: every posterior "
    "standard deviation is above 0.8 of the prior one.",
    "predose_left_out": "Samples from before the dose (negative times) were left out.",
    "profile_not_falling": "The concentration does not fall from the rim (or the vessel) on: there "
    "is no length and no depth of half uptake.",
    "profile_unbounded": "The profile likelihood never rises enough on a side: the data set no "
    "limit to a parameter there.",
    "progeny_left_out": "Radioactive progeny was left out of the dose, as declared or because it "
    "lives longer than its parent.",
    "psf_unknown": "No point spread was declared; values are not corrected for partial volume.",
    "release_above_complete": "More than 100 % of the load was found released; it is used as "
    "measured.",
    "release_at_start": "Something is released at time 0: no model has that; the sample is left "
    "out of the fits.",
    "release_falls": "The mean release falls between two times; it is used as measured.",
    "release_misfit": "The observations do not follow from any release of free label: their noise, "
    "the control or the model is wrong.",
    "release_missing": "A sample without a value was left out.",
    "release_negative": "A release is below zero; it is used as measured.",
    "release_points_few": "Fewer than three samples after time 0: models with as many parameters "
    "cannot be told apart.",
    "release_variable": "The vessels' coefficient of variation is above 20 % at the first time or "
    "10 % later: f2 of the means is no ground for a claim; see its bootstrap limits.",
    "resampled": "The region was drawn on another grid and brought to the image's by overlap.",
    "residual_runs": "The residuals keep one sign for long runs: the model does not follow the "
    "curve.",
    "resolution_unmatched": "Images or lesions were compared at resolutions that differ or are not "
    "known: a blurrier one looks more even.",
    "response_not_confirmed": "The days of the scans are not known: responses count without "
    "confirmation.",
    "response_not_evaluable": "What was measured does not decide the response; the trace says why.",
    "rising_tail": "No terminal phase: the last concentrations do not fall.",
    "rules_differ": "Decays by the model and by straight lines with an effective tail differ by "
    "more than 10 %: the model may not follow the curve, or too little of it was measured.",
    "scatter_pooled": "A time has a single animal: one coefficient of variation was taken for "
    "all times.",
    "scatter_unknown": "Too few animals to know their scatter; there is no standard error or no "
    "interval.",
    "series_time_unchecked": "The decay reference is the series time, and no acquisition time is "
    "there to check it by.",
    "sex_other": "Sex is neither M nor F: the mean of both formulas was used.",
    "signal_beyond_equation": "The signal of a frame is one that no T1 gives (noise, inflow, or a "
    "wrong repetition time, flip angle or T1); NaN there.",
    "signal_missing": "A frame has no signal that is a number; NaN there.",
    "similarity_points_few": "Fewer than three times count: there is no f1 and no f2.",
    "single_time_point": "One measurement: how long activity stays is a rule's or a "
    "population's, not the region's.",
    "slices_missing": "The number of slices is not the one that the header declares: part of the "
    "volume may be absent.",
    "small_region": "The region is smaller than the point spread; its corrected value is unsure.",
    "spacing_irregular": "Slice spacing varies by less than 1 %; the mean was used.",
    "species_assumed": "Nobody stated the species: a mouse was taken, for the prior holds no "
    "other.",
    "standard_sd_unknown": "A single standard of unknown uncertainty: how well it was made is not "
    "in the interval.",
    "start_over_fifth": "More than 20 % of the time-integrated activity lies before the first "
    "measurement.",
    "suv_reference_override": "The study's value replaced the header's.",
    "t1_not_usable": "T1 before contrast is missing, or none that a tissue has (1 ms to 20 s): "
    "there is no concentration; NaN.",
    "tail_not_positive": "A value of the terminal phase has no logarithm; an arithmetic tail "
    "mean can be asked for.",
    "terminal_fit_poor": "The terminal regression has an adjusted R2 below 0.8.",
    "terminal_points_few": "Fewer than three concentrations after the peak: there is no terminal "
    "phase to fit.",
    "terminal_span_short": "The terminal regression spans less than two half-lives.",
    "times_differ": "The formulations were sampled at different times; f1 and f2 use those they "
    "share.",
    "tumour_weight_unknown": "The tumour's weight is not known (no weight and no density was "
    "stated): the percentile is not adjusted for it.",
    "unaccounted": "The mass balance does not close within its uncertainty.",
    "value_sd_unknown": "No standard deviation of the value was given; it is not in the interval.",
    "vessels_few": "Fewer than twelve vessels of a formulation, the number that guidelines ask "
    "for.",
    "vessels_unequal": "Not every vessel has a sample at every time; means are over those that "
    "have, the bootstrap over whole vessels.",
    "volume_sd_unknown": "No uncertainty of the volume or mass was given; it is not in the "
    "interval.",
    "weight_in_grams": "The weight is above 1000 and was read as grams.",
    "weights_not_used": "The table of curves has a column of weights or standard deviations, which "
    "did not weigh its frames: the table given as sd does it; sd = equal says that none shall.",
    "window_not_stated": "Nobody stated until when the figure was followed: each study of the "
    "prior stands in its own window.",
}

# Flags that tell of a rule rather than of a doubt: in the table, but not beside a headline.
NOTES = frozenset(
    {"cross_dose_missing", "duplicate_slice", "mass_assumed_density", "model_declared",
     "overlap_counted_once", "resampled"}
)  # fmt: skip


def join(flags: Iterable[str]) -> str:
    """Flags as the table holds them: sorted, unique, joined by semicolons.

    >>> join(["resampled", "nan_voxels", "resampled"])
    'nan_voxels;resampled'
    """
    names = sorted(set(flags))
    for name in names:
        if name not in FLAGS:
            raise InputError(f"flag {name!r} is not in igdd.flags.FLAGS; add it with its meaning")
    return ";".join(names)
