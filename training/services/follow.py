"""One step of following a training: hold its lease, have its process run, read what it writes.

    queued ─► preparing ─► running ─► done | failed | stopped | lost
                              └─► stopping ─► stopped

The process lives on when whoever follows it ends; the next one re-attaches, by the pid and the
start time in the run's folder. So a step may be killed at any moment, and nothing is trained twice.
"""

from __future__ import annotations

import shutil
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from distill.logic.errors import InputError
from distill.logic.storable import storable
from distill.services.runs import TAKEN_OVER, LeaseLostError
from training import launcher
from training.logic.failures import explain_end
from training.logic.layout import TrainingLayout
from training.logic.log_text import read_log
from training.logic.spec import TrainSpec
from training.models import Metric, TrainingRun
from training.services import lease
from training.services.prepare import prepare_training
from training.services.read_metrics import read_metrics
from training.services.start_process import Owner, start_process
from training.services.take_host import take_host, this_host

STEP_SECONDS = 1.0
LOST_AFTER = timedelta(minutes=5)
"""A host that is silent for so long is given up; its watcher beats each second."""
MAX_RESTARTS = 2
FULL_BYTES = 1_000_000
"""A disk with less than this free is full."""
HELD, ELSEWHERE, WAITING = "held", "elsewhere", "waiting"

_State = TrainingRun.State
_LOG_BYTES = 16_000

Argv = Callable[[TrainSpec, TrainingLayout], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is; the loss is that of the last step that was measured, in nats."""

    state: str
    step: int
    max_steps: int | None
    loss: float | None
    message: str


def _never() -> bool:
    return False


def _ignore(_progress: Progress) -> None:
    pass


def trainer_argv(spec: TrainSpec, layout: TrainingLayout) -> Sequence[str]:
    """The training program: through torchrun where there are several processes, else by itself.

    One process needs no rendezvous, and torchrun would import torch a second time (5 s).
    """
    program = ["-m", "training.runner.sft", str(layout.folder)]
    if spec.processes == 1:
        return [sys.executable, *program]
    torchrun = ["-m", "torch.distributed.run", "--standalone"]
    return [sys.executable, *torchrun, "--nproc_per_node", str(spec.processes), *program]


def follow_training(
    training_run_id: int,
    *,
    seconds: float,
    owner: Owner | None = None,
    is_stopping: Callable[[], bool] = _never,
    on_progress: Callable[[Progress], None] = _ignore,
) -> str:
    """Start a training's process if none of it runs, and follow it for at most `seconds`.

    `owner` is who the process must not outlive; `is_stopping` says that the follower itself shall
    end: the process is left to the next one, or to its owner. Returns the state in which the run is
    left, or: "held" where another worker has it or it had ended, "elsewhere" where its process is
    on another host, "waiting" where others use this host. A failure is written into the run.
    """
    return _follow(
        training_run_id,
        argv=trainer_argv,
        seconds=seconds,
        owner=owner,
        is_stopping=is_stopping,
        on_progress=on_progress,
    )


def _follow(
    training_run_id: int,
    *,
    argv: Argv,
    seconds: float,
    owner: Owner | None = None,
    is_stopping: Callable[[], bool] = _never,
    on_progress: Callable[[Progress], None] = _ignore,
) -> str:
    if told := _tell_elsewhere(training_run_id):
        return told
    token = lease.claim_patiently(TrainingRun, pk=training_run_id)
    if token is None:
        return HELD
    run = TrainingRun.objects.select_related("export").get(pk=training_run_id)
    follower = _Follower(run, token, argv=argv, owner=owner, is_stopping=is_stopping)
    until = time.monotonic() + seconds
    try:
        while (state := follower.turn()) in TrainingRun.ACTIVE:
            on_progress(follower.progress())
            if is_stopping() or time.monotonic() > until:
                break
            time.sleep(STEP_SECONDS)
    except LeaseLostError:
        return HELD
    except (InputError, launcher.LaunchError) as error:
        state = follower.end(_State.FAILED, str(error))
    except Exception as error:
        follower.let_go(message=f"Unexpected: {error!r} It is tried again.")
        raise
    follower.let_go()
    on_progress(follower.progress())
    return state


def _tell_elsewhere(training_run_id: int) -> str:
    """What to say of a run whose process is on another host; one that is silent there is lost."""
    run = TrainingRun.objects.filter(pk=training_run_id, state__in=TrainingRun.ACTIVE).first()
    if run is None or run.host in ("", this_host()):
        return ""
    if lease.is_held(run):
        return HELD
    if run.heartbeat_at is not None and timezone.now() - run.heartbeat_at < LOST_AFTER:
        return ELSEWHERE
    message = (
        f"Its host {run.host} has not been heard of for {LOST_AFTER.seconds // 60} minutes. "
        "Resumed there once it is back, it finds its process again; resumed here, it goes on from "
        "a checkpoint where both share the data folder, else it begins anew."
    )
    same = TrainingRun.objects.filter(
        pk=run.pk, state=run.state, host=run.host, heartbeat_at=run.heartbeat_at
    )
    lost = same.update(
        state=_State.LOST, message=message, lease_token=None, finished_at=timezone.now()
    )
    return str(_State.LOST) if lost else HELD


class _Follower:
    """A worker's hold on one training, one look each second."""

    def __init__(
        self,
        run: TrainingRun,
        token: uuid.UUID,
        *,
        argv: Argv,
        owner: Owner | None,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._run, self._token = run, token
        self._argv, self._owner, self._is_stopping = argv, owner, is_stopping
        self._layout = TrainingLayout(Path(settings.DATA_DIR) / run.folder)

    def turn(self) -> str:
        """Renew the lease, and do what the run's state asks for; return the state."""
        self._run.state = lease.beat(TrainingRun, pk=self._run.pk, token=self._token)
        match self._run.state:
            case _State.QUEUED:
                self._begin()
            case _State.PREPARING:
                self._prepare()
            case _State.RUNNING | _State.STOPPING:
                self._look()
        return self._run.state

    def progress(self) -> Progress:
        run = self._run
        return Progress(run.state, run.step, run.max_steps, self._last_loss("train"), run.message)

    def let_go(self, message: str | None = None) -> None:
        """End this worker's part; the run goes on."""
        fields = {} if message is None else {"message": storable(message)}
        lease.release(TrainingRun, pk=self._run.pk, token=self._token, **fields)

    def end(self, state: str, message: str) -> str:
        """Write down how the run ended, and let it go; raises LeaseLostError."""
        run = self._run
        run.state, run.message = state, storable(message)
        if not lease.release(
            TrainingRun,
            pk=run.pk,
            token=self._token,
            state=state,
            message=run.message,
            result=run.result,
        ):
            raise LeaseLostError(TAKEN_OVER)
        return state

    # --- the states -------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Take the host. What an earlier life left in the folder is put away before that."""
        if not launcher.look(self._layout).is_alive:
            for note in (self._layout.process, self._layout.exit, self._layout.stop):
                note.unlink(missing_ok=True)
        self._run.message = take_host(
            TrainingRun,
            pk=self._run.pk,
            token=self._token,
            to=_State.PREPARING,
            started_at=Coalesce("started_at", Now()),
        )
        self._run.state = WAITING if self._run.message else _State.PREPARING

    def _prepare(self) -> None:
        """Write the rows, and start the process unless a killed worker has done that."""
        if not launcher.look(self._layout).was_started:
            prepare_training(run=self._run, layout=self._layout)
            self._start()
        self._move([_State.PREPARING], _State.RUNNING)

    def _look(self) -> None:
        """See what the process does, then what it measured: its last lines are there by then."""
        status = launcher.look(self._layout)
        read_metrics(run=self._run, token=self._token, layout=self._layout)
        if self._run.state == _State.STOPPING and status.is_alive:
            launcher.ask_to_stop(self._layout)
        if not status.is_alive and not self._is_stopping():
            self._settle(status.exit)

    def _settle(self, ended: launcher.Exit | None) -> None:
        """The process has ended, or vanished: the run ends too, or is started again."""
        if ended is None:
            # Its shim was killed; a rank in a session of its own may still be there.
            launcher.kill(self._layout)
        if self._layout.model.exists():
            self._sum_up()
            self.end(_State.DONE, "")
        elif self._run.state == _State.STOPPING or (ended and ended.why == "stop"):
            self._sum_up()
            self.end(_State.STOPPED, f"Stopped on request at step {self._run.step}. {self._next()}")
        elif ended is None:
            self._start_again()
        elif ended.was_interrupted:
            self._start()
        else:
            self._sum_up()
            self.end(_State.FAILED, self._explain(ended.code))

    def _start_again(self) -> None:
        """After its process and the shim were killed, or the host went down: twice at most."""
        restarts = self._run.result.get("restarts", 0)
        if restarts == MAX_RESTARTS or not self._checkpoints():
            times = f" {restarts + 1} times" if restarts else ""
            self.end(_State.FAILED, f"Its process was killed{times}. {self._next()}")
            return
        self._run.result["restarts"] = restarts + 1
        self._run.message = (
            f"Its process was killed; started again from its last checkpoint, "
            f"{restarts + 1} of {MAX_RESTARTS} times."
        )
        self._keep(result=self._run.result, message=self._run.message)
        self._start()

    # --- the means --------------------------------------------------------------------------------

    def _start(self) -> None:
        spec = TrainSpec.model_validate(self._run.spec)
        argv = self._argv(spec, self._layout)
        start_process(layout=self._layout, argv=argv, owner=self._owner)

    def _move(self, since: Sequence[str], to: str) -> None:
        """Move the state on; where a wish to stop was first, the next turn sees it."""
        if lease.move(TrainingRun, pk=self._run.pk, token=self._token, since=since, to=to):
            self._run.state = to

    def _keep(self, **fields: object) -> None:
        lease.beat(TrainingRun, pk=self._run.pk, token=self._token, **fields)

    def _checkpoints(self) -> list[int]:
        """The steps of the checkpoints, as far as a name tells; the program checks they are whole."""
        names = [path.name for path in self._layout.checkpoints.glob("checkpoint-*")]
        return sorted(int(name[11:]) for name in names if name[11:].isdigit())

    def _next(self) -> str:
        steps = self._checkpoints()
        if not steps:
            return "It left no checkpoint: resumed, it begins anew."
        return f"Resumed, it goes on from its checkpoint of step {steps[-1]}."

    def _explain(self, code: int) -> str:
        with self._layout.log.open("rb") as file:
            size = file.seek(0, 2)
            start = file.seek(max(0, size - _LOG_BYTES))
            log = read_log(file.read(), is_cut=start > 0)
        message = explain_end(
            code=code,
            said=self._run.result.get("error", ""),
            log=log,
            is_disk_full=shutil.disk_usage(self._layout.folder).free < FULL_BYTES,
        )
        return f"{message}\n{self._next()}" if self._checkpoints() else message

    def _sum_up(self) -> None:
        """What is known at the end: last losses in nats, tokens read, bytes of the model."""
        run, model = self._run, self._layout.model
        last = run.metrics.filter(kind=Metric.Kind.TRAIN).last()
        run.result.update(
            train_loss=self._last_loss(Metric.Kind.TRAIN),
            validation_loss=self._last_loss(Metric.Kind.VALIDATION),
            tokens=last.values.get("tokens") if last else None,
            restarts=run.result.get("restarts", 0),
        )
        if model.exists():
            files = [path for path in model.rglob("*") if path.is_file()]
            run.result["model_bytes"] = sum(path.stat().st_size for path in files)

    def _last_loss(self, kind: str) -> float | None:
        last = self._run.metrics.filter(kind=kind).last()
        return last.values.get("loss") if last else None
