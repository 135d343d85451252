"""The methodology of a plan: numbered steps from the system to the rule that would refute it."""

from __future__ import annotations

from distill.teachers.offline.plan import Flaw, Plan


def write_methodology(plan: Plan, extra: list[str]) -> str:
    """Four to seven numbered steps, one a line; `extra` steps go before the decision rule."""
    if plan.flaw is Flaw.TERSE:
        return f"Compare {plan.relation.effect} with and without {plan.relation.cause}."
    if plan.flaw in (Flaw.THIN_METHOD, Flaw.GENERIC):
        return _number(_thin_steps(plan))
    steps = [_system(plan), _perturbation(plan), _control(plan), _readout(plan)]
    steps += [_replication(plan), *extra]
    if plan.flaw not in (Flaw.VAGUE, Flaw.NO_RULE):
        steps.append(decision_rule(plan))
    return _number(steps)


def decision_rule(plan: Plan) -> str:
    """What observation would refute the hypothesis."""
    word = "rise" if plan.direction > 0 else "drop"
    return plan.choose.pick(
        "rule",
        (
            "Reject the hypothesis if the 95 % confidence interval of the difference includes "
            f"zero or the estimate stays below {plan.half}; support requires a {word} of at least "
            f"{plan.threshold} in the main sample and in the replication.",
            f"Decide by a rule written down beforehand: a difference under {plan.half}, or one of "
            f"the opposite sign, falsifies the hypothesis; only a {word} of {plan.threshold} or "
            "more whose 95 % confidence interval excludes zero supports it.",
        ),
    )


def write_sketch(plan: Plan) -> str:
    """The methodology in two sentences, for a reply that holds the hypothesis alone."""
    units = "random seeds" if plan.kind == "computational" else "independent samples per arm"
    number = 5 if plan.kind == "computational" else plan.num_samples // 2
    return (
        f"To test it, measure {plan.relation.effect} with and without {plan.relation.cause}, in "
        f"randomised order and blind to the arm, against {plan.comparison} as the control, with "
        f"n = {number} {units}. Compare the arms by the difference and its 95 % confidence "
        "interval under a protocol registered beforehand, and release data and code."
    )


def _thin_steps(plan: Plan) -> list[str]:
    if plan.flaw is Flaw.GENERIC:
        return [
            "Prepare the materials and define the variables of interest.",
            "Run the experiment under suitable conditions and collect the data.",
            "Analyse the results with appropriate statistics and compare them with expectations.",
        ]
    return [
        f"Collect data on {plan.relation.cause}.",
        f"Examine how {plan.relation.effect} behaves.",
        "Analyse the data and discuss the findings.",
    ]


def _system(plan: Plan) -> str:
    count = plan.num_samples
    where = plan.system.partition(" ")[2]
    match plan.kind:
        case "clinical":
            people = where or plan.population
            return plan.choose.pick(
                "system",
                (
                    f"Enrol {count} {people} at two or more sites, consecutively and by inclusion "
                    "criteria that are fixed before the first enrolment.",
                    f"Define the study group as {people}; recruit n = {count} across two sites "
                    "and record age, sex and severity at baseline.",
                ),
            )
        case "computational":
            data = where or "two public benchmarks of the kind that the source describes"
            return plan.choose.pick(
                "system",
                (
                    f"Prepare {data} with fixed training, validation and test splits, and pin "
                    "every software version.",
                    f"Set up {data}; freeze an 80/10/10 split and the pre-processing before any "
                    "model is trained.",
                ),
            )
        case "laboratory":
            samples = where or "the experimental system"
            return (
                f"Prepare {samples} from one documented source, with n = 12 independent samples "
                "per arm under constant temperature and handling."
            )
    return (
        f"Define the cases to observe{' ' + plan.system if plan.system else ''}, and draw "
        f"n = {count} of them at random from a list that is fixed beforehand."
    )


def _perturbation(plan: Plan) -> str:
    cause, dose = plan.relation.cause, f", at {plan.dose}" if plan.dose else ""
    match plan.kind:
        case "computational":
            return plan.choose.pick(
                "perturbation",
                (
                    f"Introduce {cause} as the only change; hold architecture, data order and "
                    "compute budget constant.",
                    f"Vary one factor: train with {cause} and leave optimiser, parameter count "
                    "and number of updates as they are.",
                ),
            )
        case "laboratory":
            return (
                f"Apply {cause} as the only change{dose}, at three graded levels, in an order "
                "that is randomised for each batch."
            )
        case "clinical" if plan.is_intervention:
            return (
                f"Assign participants 1:1 to {cause}{dose} by computer-generated randomisation in "
                "blocks of 4, with the allocation concealed."
            )
    return (
        f"Grade {cause} for every case at baseline in three levels fixed beforehand, by raters "
        "who are blinded to the outcome."
    )


def _control(plan: Plan) -> str:
    match plan.kind:
        case "computational":
            return (
                f"Train the control: {plan.comparison}. Give both arms the same search of 20 "
                "hyper-parameter settings."
            )
        case "laboratory":
            return (
                f"Run {plan.comparison} alongside as the control, with a sham treatment in the "
                "same session."
            )
    return (
        f"Take {plan.comparison} as the control group, balanced for age, sex and baseline value; "
        "keep everything else the same."
        if plan.kind == "clinical"
        else f"Take {plan.comparison} as the control, balanced for the known confounders."
    )


def _readout(plan: Plan) -> str:
    effect, readout = plan.relation.effect, plan.readout
    also = f", with {readout} as the secondary readout" if readout else ""
    match plan.kind:
        case "computational":
            return (
                f"Evaluate {effect} on the held-out test split {plan.window}{also}; log it at "
                "every 10 % of training."
            )
        case "laboratory":
            return (
                f"Measure {effect} at baseline and {plan.window} with a calibrated assay in three "
                f"technical replicates{also}; the operator is blinded to the arm."
            )
    return (
        f"Measure {effect} at baseline and {plan.window}, by assessors who are blinded to the "
        f"group{also}."
    )


def _replication(plan: Plan) -> str:
    match plan.kind:
        case "computational":
            return plan.choose.pick(
                "replication",
                (
                    "Repeat each arm with 5 random seeds and compare them by a paired bootstrap "
                    "of 10,000 resamples with a 95 % confidence interval; release code, "
                    "configurations and logs.",
                    "Replicate over 8 random seeds, report mean and standard deviation, test the "
                    "paired difference at alpha = 0.05, and publish code and seeds.",
                ),
            )
        case "laboratory":
            return (
                "Replicate in 3 independent batches on different days; fit a mixed-effects model "
                "with batch as random factor, report 95 % confidence intervals, and deposit raw "
                "data and lot numbers."
            )
    return plan.choose.pick(
        "replication",
        (
            f"Fit a regression adjusted for the baseline value, with 90 % power at alpha = 0.05, "
            f"and replicate it in a second sample of n = {plan.num_samples // 2}; register the "
            "protocol and share the analysis code.",
            f"Compare the groups by a mixed-effects model with site as random factor, report the "
            f"95 % confidence interval, repeat it in an independent sample of "
            f"n = {plan.num_samples // 2}, and publish protocol and anonymised data.",
        ),
    )


def _number(steps: list[str]) -> str:
    return "\n".join(f"{place}. {step}" for place, step in enumerate(steps, start=1))
