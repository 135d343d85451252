"""No half-written file stands under its final name."""

from __future__ import annotations

import errno

import pytest

from distill.logic.errors import InputError
from distill.services.files import atomic_path


def fail_half_way(dst, error):
    with atomic_path(dst) as draft:
        draft.write_text("half")
        raise error


def test_the_file_appears_when_it_is_whole(tmp_path):
    dst = tmp_path / "new" / "folder" / "out.parquet"
    with atomic_path(dst) as draft:
        draft.write_text("whole")
        assert draft.suffix == ".parquet"
        assert not dst.exists()
    assert dst.read_text() == "whole"
    assert list(dst.parent.iterdir()) == [dst]


def test_an_error_leaves_the_old_file_alone(tmp_path):
    dst = tmp_path / "out.jsonl"
    dst.write_text("old")
    with pytest.raises(ZeroDivisionError):
        fail_half_way(dst, ZeroDivisionError())
    assert dst.read_text() == "old"
    assert list(tmp_path.iterdir()) == [dst]


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "permission"), (errno.EIO, "the system")],
)
def test_what_the_system_refuses_is_said_plainly(tmp_path, number, words):
    dst = tmp_path / "out.jsonl"
    with pytest.raises(InputError, match=words) as caught:
        fail_half_way(dst, OSError(number, "no"))
    assert str(caught.value).startswith("out.jsonl: ")
    assert not list(tmp_path.iterdir())


def test_a_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError), atomic_path(tmp_path / "taken" / "out.jsonl"):
        pass
