"""Which judges a completion is shown to, and what speaks against a panel of judges."""

from __future__ import annotations

from collections.abc import Mapping

from distill.logic.gate import TOLERANCE
from distill.logic.recipe import JudgeConfig, Recipe
from distill.logic.types import Evidence, Scores


def judges_to_ask(
    recipe: Recipe, opinions: Mapping[str, Scores | Evidence]
) -> tuple[JudgeConfig, ...]:
    """The judges still to be heard, given what the others said; none: it can be decided.

    First those that are always asked. When all of them have answered, those whose `only_near`
    reaches from `gate.min_mean` to the mean over all dimensions that the first scored. Where none
    of the first gave scores there is no mean, and no second opinion either. The same opinions give
    the same judges, whatever their order: a work that is taken up again goes the same way.
    """
    first = [judge for judge in recipe.judges if judge.only_near is None]
    unheard = tuple(judge for judge in first if judge.name not in opinions)
    if unheard:
        return unheard
    heard = (opinions[judge.name] for judge in first)
    values = [v for said in heard if isinstance(said, Scores) for v in said.by_dimension.values()]
    if not values:
        return ()
    distance = abs(sum(values) / len(values) - recipe.gate.min_mean)
    return tuple(
        judge
        for judge in recipe.judges
        if judge.only_near is not None
        and judge.name not in opinions
        and distance <= judge.only_near + TOLERANCE
    )


def warnings(recipe: Recipe) -> tuple[str, ...]:
    """What a person should know before running the recipe: judges that score their own answers.

    A model prefers what it wrote itself (Zheng et al. 2023, Judging LLM-as-a-Judge, section 3.3).
    """
    return tuple(
        f"Judge {judge.name} is {judge.teacher}, the model that writes the completions: models "
        "prefer their own answers. Take another model as judge."
        for judge in recipe.judges
        if judge.teacher == recipe.teacher.name
    )
