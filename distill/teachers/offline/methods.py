"""The methodology of a plan: numbered steps from the system to the rule that would refute it."""

from __future__ import annotations

from distill.teachers.offline.plan import Flaw, Plan


def write_methodology(plan: Plan, extra: list[str]) -> str:
    """Four to seven numbered steps, one a line; `extra` steps go before the decision rule."""
    if plan.flaw is Flaw.TERSE:
        return f"Compare {plan.outcome} with and without {plan.relation.cause}."
    if plan.flaw in (Flaw.THIN_METHOD, Flaw.GENERIC):
        return _number(_thin_steps(plan))
    steps = [_system(plan), _perturbation(plan), _control(plan), _readout(plan)]
    if plan.flaw is Flaw.NO_RULE:
        return _number([*steps, "Compare the arms and report what was found."])
    steps += [_replication(plan), *extra]
    safety = _safety(plan)
    if safety:
        steps.insert(1, safety)
    if plan.flaw is not Flaw.VAGUE:
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
    """The methodology in a few sentences, for a reply that holds the hypothesis alone."""
    units = "random seeds" if plan.kind == "computational" else "independent samples per arm"
    number = 5 if plan.kind == "computational" else plan.num_samples // 2
    return (
        f"To test it, measure {plan.outcome} with and without {plan.relation.cause}, in "
        f"randomised order and blind to the arm, against {plan.comparison} as the control, with "
        f"n = {number} {units}. Compare the arms by the difference and its 95 % confidence "
        "interval under a protocol registered beforehand, repeat that once, and release data and "
        f"code. {decision_rule(plan)}"
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
        f"Examine how {plan.outcome} behaves.",
        "Analyse the data and discuss the findings.",
    ]


def _system(plan: Plan) -> str:
    where = plan.system.partition(" ")[2]
    match plan.kind:
        case "clinical":
            people = where or plan.population
            fixed = plan.unless_left_out(
                "fixed", ", consecutively and by criteria that are fixed before the first enrolment"
            )
            baseline = "record age, sex and severity at baseline"
            return plan.choose.pick(
                "system",
                (
                    f"Enrol {plan.num_samples} {people} at two or more sites{fixed}.",
                    f"Recruit {people}, n = {plan.num_samples}, across two sites{fixed}; {baseline}.",
                ),
            )
        case "computational":
            data = where or "two public benchmarks of the kind that the source describes"
            fixed = plan.unless_left_out("fixed", ", and pin every software version")
            return plan.choose.pick(
                "system",
                (
                    f"Prepare {data} with fixed training, validation and test splits{fixed}.",
                    f"Set up {data}; freeze an 80/10/10 split before any model is trained{fixed}.",
                ),
            )
        case "laboratory":
            samples = where or "the experimental system"
            same = plan.unless_left_out("fixed", " under constant temperature and handling")
            return (
                f"Prepare {samples} from one documented source, with n = 12 independent samples "
                f"per arm{same}."
            )
    fixed = plan.unless_left_out("fixed", ", from a list that is fixed beforehand")
    where = f" {plan.system}" if plan.system else ""
    return f"Define the cases to observe{where}, and draw n = {plan.num_samples} at random{fixed}."


def _perturbation(plan: Plan) -> str:
    cause, dose = plan.relation.cause, f", at {plan.dose}" if plan.dose else ""
    if plan.finding:
        order = plan.unless_left_out("random", ", with the arms in randomised order")
        return (
            f"Repeat what the source reports in two arms, {cause} in one of them as the only "
            f"change{order}."
        )
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
            order = plan.unless_left_out("random", ", in an order randomised for each batch")
            return f"Apply {cause} as the only change{dose}, at three graded levels{order}."
        case "clinical" if plan.is_intervention:
            how = plan.unless_left_out(
                "random",
                " by computer-generated randomisation in blocks of 4, concealed until then",
            )
            return f"Assign participants 1:1 to {cause}{dose}{how}."
    how = plan.unless_left_out("random", ", by raters who are blinded to the outcome")
    return f"Grade {cause} for every case in three levels{how}."


def _control(plan: Plan) -> str:
    match plan.kind:
        case "computational":
            return (
                f"Train the control, {plan.comparison}, and give both arms the same search of 20 "
                "hyper-parameter settings."
            )
        case "laboratory":
            return (
                f"Run {plan.comparison} alongside as the control, with a sham treatment in the "
                "same session."
            )
        case "clinical":
            return (
                f"Take {plan.comparison} as the control group, balanced for age, sex and baseline "
                "value; keep everything else the same."
            )
    return f"Take {plan.comparison} as the control, balanced for the known confounders."


def _readout(plan: Plan) -> str:
    outcome = plan.outcome
    also = f", with {plan.readout} as the secondary readout" if plan.readout else ""
    blind = plan.unless_left_out("blinding", "; whoever measures is blinded to the arm")
    match plan.kind:
        case "computational":
            log = plan.unless_left_out("log", "; log it at every 10 % of training")
            return f"Evaluate {outcome} on the held-out test split {plan.window}{also}{log}."
        case "laboratory":
            return (
                f"Measure {outcome} at baseline and {plan.window} with a calibrated assay in three "
                f"technical replicates{also}{blind}."
            )
    return f"Measure {outcome} at baseline and {plan.window}{also}{blind}."


def _replication(plan: Plan) -> str:
    second = f"repeat it in an independent sample of n = {plan.num_samples // 2}"
    match plan.kind:
        case "computational":
            share = plan.unless_left_out("sharing", "; release code, configurations and logs")
            return plan.choose.pick(
                "replication",
                (
                    "Repeat each arm with 5 random seeds and compare them by a paired bootstrap "
                    f"of 10,000 resamples with a 95 % confidence interval{share}.",
                    "Replicate over 8 random seeds, report mean and standard deviation, and "
                    f"compare the arms by a paired test at alpha = 0.05{share}.",
                ),
            )
        case "laboratory":
            share = plan.unless_left_out("sharing", "; deposit raw data and lot numbers")
            return (
                "Replicate in 3 independent batches on different days, and compare the arms by a "
                "mixed-effects model with batch as random factor and its 95 % confidence "
                f"interval{share}."
            )
    share = plan.unless_left_out("sharing", "; register the protocol and share the analysis code")
    return plan.choose.pick(
        "replication",
        (
            "Compare the groups by a regression adjusted for the baseline value, with 90 % power "
            f"at alpha = 0.05, and {second}{share}.",
            "Compare the groups by a mixed-effects model with site as random factor, report the "
            f"95 % confidence interval, and {second}{share}.",
        ),
    )


def _safety(plan: Plan) -> str:
    """What the work needs before it begins; '' for computing."""
    match plan.kind:
        case "clinical":
            return (
                "Obtain ethics approval and informed consent, and stop at the first sign of harm."
            )
        case "laboratory":
            return "Work with gloves and eye protection, and dispose of samples as hazardous waste."
    return ""


def _number(steps: list[str]) -> str:
    return "\n".join(f"{place}. {step}" for place, step in enumerate(steps, start=1))
