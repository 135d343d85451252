"""The launcher and its shim, with real processes and no database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.following import lives, wait_for
from training import launcher
from training.logic.layout import ProcessLayout
from training.logic.process_stat import ProcessStat, is_marked, parse_stat

LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
SLEEP = "import time; print('at work', flush=True); time.sleep(600)"
OBEY = """
import pathlib, sys, time
while not pathlib.Path(sys.argv[1], 'stop').exists():
    time.sleep(0.05)
print('saved')
"""
# As torchrun: a child in a session of its own, that no signal to a group reaches.
RANK = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],
                         start_new_session=True)
pathlib.Path(sys.argv[1], 'rank').write_text(str(child.pid))
time.sleep(600)
"""
OWNER = """
import os, pathlib, sys
from training import launcher
from training.logic.layout import ProcessLayout
layout = ProcessLayout(pathlib.Path(sys.argv[1]))
launcher.launch(layout, [sys.executable, '-c', sys.argv[2], sys.argv[1]],
                environment=os.environ, owner_pid=os.getpid())
print('launched', flush=True)
sys.stdin.read()
"""


@pytest.fixture
def layout(tmp_path) -> Iterator[ProcessLayout]:
    layout = ProcessLayout(tmp_path / "a folder")
    yield layout
    launcher.kill(layout)


def launch(layout: ProcessLayout, program: str, **options: object) -> None:
    argv = [sys.executable, "-c", program, str(layout.folder)]
    chosen: dict[str, object] = {"owner_pid": os.getpid(), **options}
    launcher.launch(layout, argv, environment=os.environ, **chosen)  # type: ignore[arg-type]


def ended(layout: ProcessLayout) -> launcher.Exit | None:
    wait_for(lambda: not launcher.look(layout).is_alive)
    return launcher.look(layout).exit


def test_a_program_runs_to_its_end_and_says_how(layout) -> None:
    assert launcher.look(layout) == launcher.Status(is_alive=False, exit=None, was_started=False)
    launch(layout, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert ended(layout) == launcher.Exit(code=3, why="")
    log = layout.log.read_text().splitlines()
    assert log[0].startswith("--- started 2")
    assert sorted(log[1:]) == ["err", "out"]


def test_it_leads_a_session_of_its_own_and_is_started_once(layout) -> None:
    launch(layout, SLEEP)
    before = layout.process.read_text()
    launch(layout, SLEEP)
    assert layout.process.read_text() == before
    assert launcher.look(layout).is_alive
    pid = int(before.split('"pid": ')[1].split(",")[0])
    assert os.getsid(pid) == os.getpgid(pid) == pid


def test_a_second_start_forgets_how_the_first_ended(layout) -> None:
    launch(layout, "")
    assert ended(layout) == launcher.Exit(code=0, why="")
    layout.stop.touch()
    launch(layout, OBEY)
    assert launcher.look(layout) == launcher.Status(is_alive=True, exit=None, was_started=True)
    assert not layout.stop.exists()
    assert layout.log.read_text().count("--- started") == 2


def test_a_wish_to_stop_lets_the_program_end_by_itself(layout) -> None:
    launch(layout, OBEY)
    launcher.ask_to_stop(layout)
    exit_ = ended(layout)
    assert exit_ is not None
    assert exit_.code == 0
    assert "saved" in layout.log.read_text()


@LINUX
def test_kill_leaves_nothing_also_no_rank_in_a_session_of_its_own(layout) -> None:
    launch(layout, RANK)
    rank = layout.folder / "rank"
    wait_for(lambda: rank.exists() and rank.read_text())
    launcher.kill(layout)
    wait_for(lambda: not lives(int(rank.read_text())))
    wait_for(lambda: not launcher.look(layout).is_alive)
    assert launcher.look(layout) == launcher.Status(is_alive=False, exit=None, was_started=True)
    launcher.kill(layout)


@LINUX
def test_a_program_that_is_killed_is_told_by_its_signal_and_its_ranks_go_too(layout) -> None:
    launch(layout, RANK)
    rank = layout.folder / "rank"
    wait_for(lambda: rank.exists() and rank.read_text())
    os.kill(parent_of(int(rank.read_text())), signal.SIGKILL)
    assert ended(layout) == launcher.Exit(code=-signal.SIGKILL, why="")
    assert not lives(int(rank.read_text()))


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_owner_in_order(layout, number) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(layout.folder), OBEY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout.readline() == b"launched\n"
    assert launcher.look(layout).is_alive
    owner.send_signal(number)
    owner.communicate()
    assert ended(layout) == launcher.Exit(code=0, why="owner_gone")
    assert "saved" in layout.log.read_text()
    assert launcher.look(layout).exit.was_interrupted


def test_a_guest_is_told_to_its_owner_and_ends_when_that_stops(layout, tmp_path) -> None:
    launch(layout, OBEY, guest_of=tmp_path)
    assert len(list((tmp_path / "guests").iterdir())) == 1
    (tmp_path / "stopping").touch()
    assert ended(layout) == launcher.Exit(code=0, why="owner_stopping")
    assert list((tmp_path / "guests").iterdir()) == []


def test_without_an_owner_it_goes_on(layout) -> None:
    launch(layout, SLEEP, owner_pid=None)
    time.sleep(0.5)
    assert launcher.look(layout).is_alive


@pytest.mark.soak
def test_one_that_hears_nothing_is_killed_soon_after_its_owner_has_gone(layout, tmp_path) -> None:
    stubborn = f"import signal; signal.signal(15, signal.SIG_IGN); {SLEEP}"
    launch(layout, stubborn, guest_of=tmp_path)
    wait_for(lambda: "at work" in layout.log.read_text())
    (tmp_path / "stopping").touch()
    began = time.monotonic()
    wait_for(lambda: not launcher.look(layout).is_alive, seconds=12)
    assert time.monotonic() - began < 10
    assert launcher.look(layout).exit == launcher.Exit(-signal.SIGKILL, "owner_stopping")


def test_a_program_that_is_not_there_is_an_error_with_its_reason_in_the_log(layout) -> None:
    with pytest.raises(launcher.LaunchError, match=r"log\.txt"):
        launcher.launch(layout, ["/not/there"], environment=os.environ, owner_pid=None)
    assert "/not/there" in layout.log.read_text()
    assert not launcher.look(layout).is_alive


@LINUX
def test_a_pid_that_belongs_to_another_process_now_is_not_alive(layout) -> None:
    layout.folder.mkdir()
    layout.process.write_text(f'{{"pid": {os.getpid()}, "started": 1}}')
    assert not launcher.look(layout).is_alive
    launcher.kill(layout)  # which would be this test


def test_notes_that_a_power_cut_left_empty_are_none(layout) -> None:
    layout.folder.mkdir()
    layout.process.write_bytes(b"")
    layout.exit.write_bytes(b" " * 512)
    assert launcher.look(layout) == launcher.Status(is_alive=False, exit=None, was_started=False)
    launcher.kill(layout)


def test_a_stat_is_read_also_where_the_name_holds_brackets() -> None:
    text = "12 (a) (b c)) Z 1 " + " ".join(["0"] * 17) + " 4711 99"
    assert parse_stat(text) == ProcessStat(state="Z", started=4711)
    assert parse_stat(text).is_dead


def test_a_mark_is_the_whole_folder() -> None:
    environ = b"A=1\0NEXA_PROCESS_FOLDER=/data/run-12\0B=2\0"
    assert is_marked(environ, Path("/data/run-12"))
    assert not is_marked(environ, Path("/data/run-1"))
