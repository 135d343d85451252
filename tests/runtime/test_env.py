from __future__ import annotations

import pytest

from nexa_site.env import BASE_DIR, EnvError, read_env


@pytest.fixture(autouse=True)
def _read_anew():
    read_env.cache_clear()
    yield
    read_env.cache_clear()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PORT", "eight", "integer"),
        ("PORT", "70000", "65535"),
        ("DEBUG", "perhaps", "boolean"),
        ("LOG_LEVEL", "loud", "'WARNING'"),
        ("DATABASE_URL", "mysql://localhost/x", "postgresql://"),
        ("SECRET_KEY", "short", "32"),
        ("PIPELINE_WORKERS", "0", "greater than or equal to 1"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(monkeypatch, name, value, allowed) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(EnvError) as caught:
        read_env()
    assert name in str(caught.value)
    assert allowed in str(caught.value)


def test_every_bad_value_is_named_at_once(monkeypatch) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("WEB_THREADS", "x")
    with pytest.raises(EnvError, match=r"(?s)PORT.*WEB_THREADS"):
        read_env()


def test_an_empty_value_counts_as_unset(monkeypatch) -> None:
    for name in ("PORT", "DATABASE_URL", "DEBUG", "NEXA_DATA_DIR", "ALLOWED_HOSTS"):
        monkeypatch.setenv(name, "")
    env = read_env()
    assert (env.port, env.database_url, env.debug) == (8000, None, False)
    assert env.data_dir == BASE_DIR / "var"
    assert "localhost" in env.allowed_hosts


def test_lists_are_split_at_commas(monkeypatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "a.example, b.example,")
    assert read_env().allowed_hosts == ("a.example", "b.example")


def test_a_relative_data_folder_is_inside_the_checkout(monkeypatch) -> None:
    monkeypatch.setenv("NEXA_DATA_DIR", "other")
    assert read_env().data_dir == BASE_DIR / "other"
