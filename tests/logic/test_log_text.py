"""What a program printed, as people can read it."""

from __future__ import annotations

import pytest

from training.logic.log_text import read_log


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"", ""),
        (b"one\ntwo\n", "one\ntwo"),
        (b"\x1b[31mred\x1b[0m and \x1b[1;4mbold\x1b[m", "red and bold"),
        (
            b"\x1b]0;a title\x07text \x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
            "text link",
        ),
        (b" 10%|#  |\r 50%|## |\r100%|###|\nnext\r\n", "100%|###|\nnext"),
        (b"a\x00b\x08c\x7fd\te", "abcd\te"),
        ("a\u202eb\x9b31mc".encode(), "ab31mc"),
        (b"not \xff utf-8", "not \ufffd utf-8"),
        (b"cut \x1b[", "cut "),
        (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_codes_of_a_terminal_go_and_text_stays(raw: bytes, shown: str) -> None:
    assert "\n".join(read_log(raw, is_cut=False)) == shown.rstrip()


def test_the_end_of_a_log_begins_with_a_whole_line() -> None:
    assert read_log(b"lf a line\nwhole", is_cut=True) == ["whole"]
    assert read_log(b"one endless line", is_cut=True) == ["one endless line"]
