"""`make up`: everything the project needs, started in order, watched, and stopped in order.

1. One instance per data folder, by a lock.
2. The embedded database (unless DATABASE_URL names another), tables, static files, first data.
3. The Procfile's processes, each in a group of its own, started again when they end.
4. On SIGINT or SIGTERM: workers and web, then the teacher they talk to, then the guests, then the
   database. A guest is a process that a worker started and that outlives it, such as a training:
   it keeps a locked file named by its process group in `run/guests`, and ends when `run/stopping`
   appears or the supervisor (NEXA_SUPERVISOR_PID) is gone.

Should the supervisor be killed, its guardian ends the children and the keeper the database.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from psycopg.conninfo import make_conninfo

from nexa_site import children, guardian, keeper, postgres, procfile, watchdog
from nexa_site.children import Child, Guard, say
from nexa_site.env import BASE_DIR, Env, EnvError, read_env

# Together below the 30 s after which service managers lose their patience.
STOP_SECONDS = 18
TEACHER_STOP_SECONDS = 3
# From the moment when the stop file appears; a guest kills its own program after 8.
GUEST_STOP_SECONDS = 12
DATABASE_STOP_SECONDS = 8
WATCH_SECONDS = 10
HEALTH_SECONDS = 90
# What the others still talk to while they finish.
STOPPED_LAST = frozenset({"teacher"})
RULE = "─" * 72


class StartError(RuntimeError):
    """The project cannot be started; the message says why."""


def main(root: Path = BASE_DIR) -> int:
    """Run the project until it is told to stop; return the exit code."""
    try:
        return _run_alone(read_env(), root)
    except (EnvError, StartError, keeper.KeeperError, procfile.ProcfileError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - the last word
        return 2
    except KeyboardInterrupt:
        # Before the children were there: the keeper lets the database go.
        return 128 + signal.SIGINT


def _run_alone(env: Env, root: Path) -> int:
    keeper.prepare_folder(env.data_dir)
    lock = keeper.try_lock(env.data_dir / "run" / "supervisor.lock")
    if lock is None:
        raise StartError(f"Nexa Distill is already running over {env.data_dir}")
    with lock:
        _refuse_unusable_port(env.port, "PORT")
        _refuse_unusable_port(env.teacher_port, "OFFLINE_TEACHER_PORT")
        environment = _child_environment(env)
        entries = procfile.read(root / "Procfile", environment)
        # Until the children are there, a signal ends us at once: nothing needs an order yet.
        first_words = _prepare(env, root, environment)
        asyncio.run(_supervise(env, root, entries, environment, first_words))
        _let_database_go(env)
    return 0


def _prepare(env: Env, root: Path, environment: Mapping[str, str]) -> str:
    """Start the database, bring tables and files up to date; return the first data's words."""
    began = time.monotonic()
    if env.database_url is None:
        keeper.attach(env.data_dir)
    say(f"database ready after {time.monotonic() - began:.1f} s; bringing tables up to date …")
    _manage("migrate", "--noinput", "-v0", root=root, environment=environment)
    _manage("collectstatic", "--noinput", "-v0", root=root, environment=environment)
    if not any(root.glob("*/management/commands/bootstrap.py")):
        return ""
    return _manage("bootstrap", root=root, environment=environment)


def _manage(*arguments: str, root: Path, environment: Mapping[str, str]) -> str:
    """Run one of Django's commands to its end; return what it printed."""
    argv = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(
        argv, cwd=root, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise StartError(f"{done.stdout}manage.py {arguments[0]} ended with {done.returncode}")
    return done.stdout.strip()


async def _supervise(
    env: Env,
    root: Path,
    entries: list[procfile.Entry],
    environment: Mapping[str, str],
    first_words: str,
) -> None:
    """Run the children, and watch over them, until a signal asks to stop; then stop them."""
    stopping = asyncio.Event()
    stop_file = env.data_dir / "run" / "stopping"
    stop_file.unlink(missing_ok=True)
    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        numbers.remove(signal.SIGHUP)  # started by nohup
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    logs = env.data_dir / "logs"
    family = children.make_children(entries, root=root, logs=logs, environment=environment)
    guard = Guard()
    lives = [asyncio.create_task(child.keep_running(guard, stopping)) for child in family]
    watchers = [
        asyncio.create_task(_watch(env, family, guard)),
        asyncio.create_task(_announce(env, logs, first_words)),
    ]
    await stopping.wait()
    say("stopping …")
    for watcher in watchers:
        watcher.cancel()
    stop_file.touch()
    guests_gone_by = time.monotonic() + GUEST_STOP_SECONDS
    first = [child for child in family if child.entry.name not in STOPPED_LAST]
    await children.stop(first, seconds=STOP_SECONDS)
    await children.stop(family, seconds=TEACHER_STOP_SECONDS)
    await asyncio.to_thread(_see_guests_off, env.data_dir / "run" / "guests", guests_gone_by)
    await asyncio.wait(lives, timeout=2 * children.LAST_LINES_SECONDS)
    for child in family:
        # One that was just being started when the others were stopped.
        child.kill()
    await asyncio.gather(*lives)
    await asyncio.gather(*watchers, return_exceptions=True)
    guard.close()
    stop_file.unlink()


def _see_guests_off(folder: Path, deadline: float) -> None:
    """Wait for the guests to end; kill the groups of those that stay."""
    while (pids := _guests(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in pids:
        guardian.kill_group(pid)


def _guests(folder: Path) -> list[int]:
    """The guests that live; the file of one that was killed is not locked, and removed."""
    living = []
    for path in folder.glob("[0-9]*"):
        lock = keeper.try_lock(path)
        if lock is None:
            living.append(int(path.name))
        else:
            path.unlink(missing_ok=True)
            lock.close()
    return living


async def _watch(env: Env, family: list[Child], guard: Guard) -> None:
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        guard.revive()
        if env.database_url is None:
            try:
                await asyncio.to_thread(keeper.attach, env.data_dir)
            except keeper.KeeperError as error:
                say(str(error))
        for child in family:
            await _end_if_it_hangs(env, child)


async def _end_if_it_hangs(env: Env, child: Child) -> None:
    cluster = child.entry.cluster
    # One that has just started is given the time to take up what waited for it.
    if cluster is None or child.age_seconds < 2 * watchdog.PATIENCE_SECONDS:
        return
    if await asyncio.to_thread(watchdog.hangs, _dsn(env), cluster):
        say(f"{child.entry.name} has due tasks and runs none: killed, to be started again")
        child.kill()


async def _announce(env: Env, logs: Path, first_words: str) -> None:
    """Print where the site is, once it answers; what must be read comes last, in a block."""
    url = f"http://127.0.0.1:{env.port}/"
    deadline = time.monotonic() + HEALTH_SECONDS
    while not (healthy := await asyncio.to_thread(_answers, f"{url}healthz")):
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.2)
    state = f"Nexa Distill is up: {url}" if healthy else f"{url} gives no answer; see {logs}"
    words = first_words.splitlines()
    lines = [*words, *([""] if words else []), state, f"Logs: {logs}", "Stop it with Ctrl-C."]
    say("\n".join(("", RULE, *(f"  {line}".rstrip() for line in lines), RULE)))


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as reply:  # noqa: S310 - our own address
            return bool(reply.status == 200)
    except (URLError, OSError):
        return False


def _let_database_go(env: Env) -> None:
    if env.database_url is not None:
        return
    keeper.detach(env.data_dir)
    deadline = time.monotonic() + DATABASE_STOP_SECONDS
    while postgres.server_pid(env.data_dir / "postgres") is not None:
        if time.monotonic() > deadline:
            say("the database stays up for another command that uses it")
            return
        time.sleep(0.05)


def _dsn(env: Env) -> str:
    return env.database_url or make_conninfo(
        host=str(postgres.socket_folder(env.data_dir)),
        dbname=postgres.DATABASE,
        user=postgres.OWNER,
    )


def _child_environment(env: Env) -> dict[str, str]:
    """Return what the children see: our environment, defaults filled in, our Python first."""
    filled = {
        "PORT": env.port,
        "OFFLINE_TEACHER_PORT": env.teacher_port,
        "WEB_WORKERS": env.web_workers,
        "WEB_THREADS": env.web_threads,
        "NEXA_DATA_DIR": env.data_dir,
        "NEXA_SUPERVISOR_PID": os.getpid(),
        "PYTHONUNBUFFERED": 1,
    }
    programs = str(Path(sys.executable).parent)
    path = os.pathsep.join((programs, os.environ.get("PATH", os.defpath)))
    return {**os.environ, **{name: str(value) for name, value in filled.items()}, "PATH": path}


def _refuse_unusable_port(port: int, variable: str) -> None:
    with socket.socket() as probe:
        # As gunicorn does: a port whose last connections still linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise StartError(
                f"Port {port} is reserved for root; choose one above 1023: {variable}=8000 make up"
            ) from None
        except OSError:
            raise StartError(
                f"Port {port} is taken by another program; choose another: "
                f"{variable}={port + 1} make up"
            ) from None


if __name__ == "__main__":
    sys.exit(main())
