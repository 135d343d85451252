from __future__ import annotations

import pytest

from training.logic.failures import explain_end


def explain(*log: str, code: int = 1, said: str = "", is_disk_full: bool = False) -> str:
    return explain_end(code=code, said=said, log=log, is_disk_full=is_disk_full)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory.", "lower batch_size"),
        ("RuntimeError: [enforce fail] can't allocate memory: 64 bytes", "lower batch_size"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("InputError: The loss became nan at step 3", "lower learning_rate"),
        ("OSError: x does not appear to have a file named config.json", "cannot be loaded"),
        ("ModuleNotFoundError: No module named 'torch'", "make install"),
        ("Signal 9 (SIGKILL) received by PID 4711", "want of memory"),
    ],
)
def test_a_known_cause_says_what_to_do_and_shows_the_log(line, words) -> None:
    message = explain("Loading …", line, "")
    assert words in message.splitlines()[0]
    assert message.endswith(f"The last lines of its log:\nLoading …\n{line}")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-9, "It was killed (signal 9)"),
        (-11, "It was ended by signal 11 (SIGSEGV)."),
        (-99, "It was ended by signal 99 (unknown)."),
        (3, "It ended with code 3 and left no model."),
    ],
)
def test_without_a_known_cause_its_end_is_told(code, words) -> None:
    assert explain(code=code).startswith(words)


def test_what_the_program_says_itself_stands_alone() -> None:
    assert explain("CUDA out of memory", said="Lower it.") == "Lower it."
    assert explain("Traceback", "error: Nothing is left to train on.") == (
        "Nothing is left to train on."
    )


def test_a_full_disk_is_told_where_the_log_could_not_be_written() -> None:
    assert explain("step 3", is_disk_full=True).startswith("The disk is full")


def test_a_long_log_is_cut_to_its_end() -> None:
    message = explain(*(f"line {number} {'x' * 300}" for number in range(99)))
    assert len(message) < 2_200
    assert "line 98" in message
