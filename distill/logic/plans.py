"""Which stages each kind of run goes through."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """`asks`: starts from samples, else from completions that are there. The rest are stages.

    `remembers`: judges are not asked; what they said before, asked in the very same way, counts.
    `decides` says that SampleGate gives a verdict; without it a run ends where its last stage did.
    `competes` says that its completions stand for their sample × draw: one attempt of it is open.
    """

    asks: bool = False
    filters: bool = True
    judges: bool = True
    decides: bool = True
    regenerates: bool = False
    remembers: bool = False
    competes: bool = True


PLANS = {
    "pipeline": Plan(asks=True, regenerates=True),
    "generate": Plan(asks=True, filters=False, judges=False, decides=False),
    "filter": Plan(judges=False, decides=False),
    "judge": Plan(decides=False),
    "gate": Plan(),
    "reevaluate": Plan(judges=False, remembers=True),
    "regenerate": Plan(regenerates=True),
    "evaluate": Plan(competes=False),
}
