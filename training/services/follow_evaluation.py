"""One step of following an evaluation: answers by a process, scoring by runs, then the report.

    queued ─► answering ─► scoring ─► done | failed | stopped

The process lives on when whoever follows it ends; the next one re-attaches. So a step may be killed
at any moment: what is answered is not answered again, what is judged is not paid again.
"""

from __future__ import annotations

import shutil
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from distill.logic.errors import DistillError, InputError
from distill.logic.storable import storable
from distill.models import Run
from distill.queries.progress import count_states
from distill.services.runs import TAKEN_OVER, LeaseLostError
from distill.services.step import run_step
from training import launcher
from training.logic.events import read_events
from training.logic.failures import explain_end
from training.logic.layout import EvaluationLayout
from training.logic.log_text import read_log
from training.models import Evaluation
from training.services import lease
from training.services.follow import ELSEWHERE, FULL_BYTES, HELD, LOST_AFTER, WAITING
from training.services.prepare_evaluation import prepare_evaluation
from training.services.report_evaluation import report_evaluation
from training.services.start_process import Owner, start_process
from training.services.take_answers import is_answered, take_answers
from training.services.take_host import take_host, this_host

STEP_SECONDS = 0.5
MAX_STARTS = 3
"""So often is a process started in one step that was killed each time."""

_State = Evaluation.State
_TAIL_BYTES = 16_000

Argv = Callable[[EvaluationLayout], Sequence[str]]


@dataclass(frozen=True, slots=True)
class EvaluationProgress:
    """How far an evaluation is: answers while it is answering, verdicts while it is scoring."""

    state: str
    done: int
    total: int
    message: str


def _never() -> bool:
    return False


def _ignore(_progress: EvaluationProgress) -> None:
    pass


def answer_argv(layout: EvaluationLayout) -> Sequence[str]:
    """The program that answers and measures losses."""
    return [sys.executable, "-m", "training.runner.answer", str(layout.folder)]


def follow_evaluation(
    evaluation_id: int,
    *,
    seconds: float,
    owner: Owner | None = None,
    offline_url: str | None = None,
    is_stopping: Callable[[], bool] = _never,
    on_progress: Callable[[EvaluationProgress], None] = _ignore,
) -> str:
    """Take an evaluation as far as it gets in `seconds`, plus what its requests in flight need.

    `owner` is who the answering process must not outlive; `offline_url` is where a stand-in judge
    is. Returns the state in which it is left, or: "held" where another worker has it or it had
    ended, "elsewhere" where its process is on another host, "waiting" where others use this host.
    A failure is written into the evaluation; an unexpected one is raised too.
    """
    return _follow(
        evaluation_id,
        argv=answer_argv,
        seconds=seconds,
        owner=owner,
        offline_url=offline_url,
        is_stopping=is_stopping,
        on_progress=on_progress,
    )


def _follow(
    evaluation_id: int,
    *,
    argv: Argv,
    seconds: float,
    owner: Owner | None = None,
    offline_url: str | None = None,
    is_stopping: Callable[[], bool] = _never,
    on_progress: Callable[[EvaluationProgress], None] = _ignore,
) -> str:
    if _is_elsewhere(evaluation_id):
        return ELSEWHERE
    token = lease.claim_patiently(Evaluation, pk=evaluation_id)
    if token is None:
        return HELD
    evaluation = Evaluation.objects.select_related(
        "training_run__dataset", "recipe", "created_by"
    ).get(pk=evaluation_id)
    until = time.monotonic() + seconds
    follower = _Follower(
        evaluation,
        token,
        argv=argv,
        owner=owner,
        offline_url=offline_url,
        is_over=lambda: is_stopping() or time.monotonic() > until,
        on_progress=on_progress,
    )
    try:
        state = follower.follow()
    except LeaseLostError:
        return HELD
    except (DistillError, launcher.LaunchError) as error:
        return follower.end(_State.FAILED, message=str(error))
    except Exception as error:
        follower.end(_State.FAILED, message=f"Unexpected: {error!r}")
        raise
    follower.let_go()
    return state


def _is_elsewhere(evaluation_id: int) -> bool:
    """Whether the process is on another host, which was heard of lately."""
    answering = Evaluation.objects.filter(pk=evaluation_id, state=_State.ANSWERING)
    row = answering.exclude(host__in=["", this_host()]).first()
    if row is None or row.heartbeat_at is None:
        return False
    return timezone.now() - row.heartbeat_at < LOST_AFTER


class _Follower:
    """A worker's hold on one evaluation."""

    def __init__(
        self,
        evaluation: Evaluation,
        token: uuid.UUID,
        *,
        argv: Argv,
        owner: Owner | None,
        offline_url: str | None,
        is_over: Callable[[], bool],
        on_progress: Callable[[EvaluationProgress], None],
    ) -> None:
        self._evaluation, self._token = evaluation, token
        self._argv, self._owner, self._offline_url = argv, owner, offline_url
        self._is_over, self._on_progress = is_over, on_progress
        self._layout = EvaluationLayout(Path(settings.DATA_DIR) / evaluation.folder)
        self._starts = 0
        self._is_lost = False

    def follow(self) -> str:
        """Do what the state asks for, until it has ended, the time is up, or others use this host.

        Returns the state, or that it waits.
        """
        while self._beat() in Evaluation.ACTIVE:
            match self._evaluation.state:
                case _State.QUEUED if not self._begin():
                    self._tell()
                    return WAITING
                case _State.ANSWERING:
                    self._look()
                case _State.SCORING:
                    self._score()
            if self._is_over() or self._evaluation.state not in Evaluation.ACTIVE:
                break
        if self._evaluation.state == _State.STOPPED:
            self._end_process()
        self._tell()
        return self._evaluation.state

    def let_go(self) -> None:
        """End this worker's part; whatever the state is stays."""
        lease.release(Evaluation, pk=self._evaluation.pk, token=self._token)

    def end(self, state: str, **fields: object) -> str:
        """Write down how it ended, and let it go. One that was stopped meanwhile stays so."""
        fields["message"] = storable(str(fields.get("message", "")))
        fields["finished_at"] = timezone.now()
        moved = lease.move(
            Evaluation,
            pk=self._evaluation.pk,
            token=self._token,
            since=Evaluation.ACTIVE,
            to=state,
            **fields,
        )
        self.let_go()
        if not moved:
            self._end_process()
        self._evaluation.refresh_from_db()
        self._tell()
        return self._evaluation.state

    # --- answering --------------------------------------------------------------------------------

    def _begin(self) -> bool:
        """Write the questions, then take the host; False where others use it."""
        num_wanted = prepare_evaluation(evaluation=self._evaluation, layout=self._layout)
        message = take_host(
            Evaluation,
            pk=self._evaluation.pk,
            token=self._token,
            to=_State.ANSWERING,
            num_wanted=num_wanted,
        )
        self._evaluation.num_wanted = num_wanted
        self._evaluation.message = message
        if not message:
            self._evaluation.state, self._evaluation.host = _State.ANSWERING, this_host()
        return not message

    def _look(self) -> None:
        """See what the process does; start it where none runs, take its answers once all are there."""
        if self._evaluation.host != this_host():
            self._take_over()
            return
        status = launcher.look(self._layout)
        if status.is_alive:
            self._rest()
        elif is_answered(self._layout):
            if take_answers(evaluation=self._evaluation, token=self._token, layout=self._layout):
                self._evaluation.state = _State.SCORING
        elif status.exit and status.exit.code and not status.exit.was_interrupted:
            raise InputError(self._explain(status.exit.code))
        elif self._starts == MAX_STARTS:
            raise InputError(
                f"The answering process ended {MAX_STARTS} times before it was done, and said "
                "nothing: is the memory of this host too small? Evaluate again to go on."
            )
        elif not self._is_over():
            self._start()

    def _take_over(self) -> None:
        """Its host is silent: begin here, with what it left where the data folder is shared."""
        lease.move(
            Evaluation,
            pk=self._evaluation.pk,
            token=self._token,
            since=[_State.ANSWERING],
            to=_State.QUEUED,
            host="",
        )

    def _start(self) -> None:
        self._starts += 1
        if self._layout.process.exists():
            # Its shim may have been killed; nothing of it must write beside the next one.
            launcher.kill(self._layout)
        argv = self._argv(self._layout)
        start_process(layout=self._layout, argv=argv, owner=self._owner)

    def _end_process(self) -> None:
        if launcher.look(self._layout).is_alive:
            launcher.ask_to_stop(self._layout)

    def _explain(self, code: int) -> str:
        with self._layout.log.open("rb") as file:
            start = max(0, file.seek(0, 2) - _TAIL_BYTES)
            file.seek(start)
            log = read_log(file.read(), is_cut=start > 0)
        said = [event["message"] for event in self._events() if event["kind"] == "error"]
        return explain_end(
            code=code,
            said=said[-1] if said else "",
            log=log,
            is_disk_full=shutil.disk_usage(self._layout.folder).free < FULL_BYTES,
        )

    # --- scoring ----------------------------------------------------------------------------------

    def _score(self) -> None:
        """Work off the scoring runs here; one that a pipeline worker has taken is waited for."""
        for contender in self._evaluation.contenders.select_related("run"):
            run = contender.run
            while run is not None and run.is_active:
                self._beat()
                state = self._step(run)
                if self._is_over() or self._evaluation.state not in Evaluation.ACTIVE:
                    return
                if state == HELD:
                    self._rest()
                run.refresh_from_db()
            if run is not None and run.state != Run.State.DONE:
                raise InputError(
                    f"Scoring the {contender.role}'s answers {run.state} (run {run.pk}): "
                    f"{run.message or 'no reason was given'} Mend that and evaluate again: what is "
                    "answered and judged stays."
                )
        self._report()

    def _step(self, run: Run) -> str:
        state = run_step(
            run.pk,
            offline_url=self._offline_url,
            on_pulse=lambda _pulse: self._pulse(),
            is_stopping=lambda: self._is_lost or self._is_over(),
        )
        if self._is_lost:
            raise LeaseLostError(TAKEN_OVER)
        return state

    def _pulse(self) -> None:
        """Called by the run's own thread, once a second."""
        try:
            self._beat()
        except LeaseLostError:
            self._is_lost = True
            return
        self._tell()

    def _report(self) -> None:
        # Who deletes the dataset meanwhile takes the samples too: nothing of them was left unanswered.
        self._evaluation.training_run.refresh_from_db(fields=["dataset"])
        report = report_evaluation(evaluation=self._evaluation, layout=self._layout)
        self.end(_State.DONE, report=report)

    # --- the means --------------------------------------------------------------------------------

    def _beat(self) -> str:
        """Renew the lease and say how far it is; learn what state others have set."""
        evaluation = self._evaluation
        if evaluation.state == _State.ANSWERING:
            evaluation.num_answered = self._count_answered()
        evaluation.state = lease.beat(
            Evaluation, pk=evaluation.pk, token=self._token, num_answered=evaluation.num_answered
        )
        return evaluation.state

    def _rest(self) -> None:
        self._tell()
        time.sleep(STEP_SECONDS)

    def _tell(self) -> None:
        evaluation = self._evaluation
        done, total = evaluation.num_answered, evaluation.num_wanted
        if evaluation.state == _State.SCORING:
            done, total = self._count_scored()
        self._on_progress(EvaluationProgress(evaluation.state, done, total, evaluation.message))

    def _count_answered(self) -> int:
        """The answers of all roles, as the process says."""
        done = {
            event["role"]: event["done"] for event in self._events() if event["kind"] == "answer"
        }
        return sum(done.values())

    def _count_scored(self) -> tuple[int, int]:
        done = total = 0
        scored = self._evaluation.contenders.values("run")
        for run in Run.objects.filter(pk__in=scored):
            counts = count_states(run)
            total += sum(counts.values())
            done += sum(counts.values()) - counts.get("pending", 0)
        return done, total

    def _events(self) -> list[dict[str, Any]]:
        """What the process wrote since it began; a last line without its end is not read."""
        if not self._layout.metrics.exists():
            return []
        content = self._layout.metrics.read_bytes()
        return read_events(content[: content.rfind(b"\n") + 1])[0]
