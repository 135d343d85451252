"""Every value the project reads from its environment: typed, with a default, and loud.

An empty string counts as unset. Keys of teachers (`OPENAI_API_KEY`, …) are not here: they are
read where a teacher is made, and never stored.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

BASE_DIR = Path(__file__).resolve().parent.parent

Port = Annotated[int, Field(ge=1, le=65535)]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class EnvError(ValueError):
    """A variable of the environment has a value that the project cannot use."""


class Env(BaseSettings):
    """The environment's variables; a field's alias is the variable's name."""

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True, extra="ignore")

    data_dir: Path = Field(BASE_DIR / "var", validation_alias="NEXA_DATA_DIR")
    port: Port = Field(8000, validation_alias="PORT")
    offline_teacher_port: Port | None = Field(None, validation_alias="OFFLINE_TEACHER_PORT")
    database_url: str | None = Field(None, validation_alias="DATABASE_URL")
    secret_key: str | None = Field(None, validation_alias="SECRET_KEY", min_length=32)
    debug: bool = Field(default=False, validation_alias="DEBUG")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1", "localhost", "[::1]"), validation_alias="ALLOWED_HOSTS"
    )
    trusted_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), validation_alias="CSRF_TRUSTED_ORIGINS"
    )
    behind_https: bool = Field(default=False, validation_alias="BEHIND_HTTPS")
    web_workers: int = Field(2, validation_alias="WEB_WORKERS", ge=1, le=64)
    web_threads: int = Field(8, validation_alias="WEB_THREADS", ge=1, le=256)
    pipeline_workers: int = Field(2, validation_alias="PIPELINE_WORKERS", ge=1, le=64)
    gpu_workers: int = Field(1, validation_alias="GPU_WORKERS", ge=1, le=16)
    # Set by the supervisor for what it starts: trainings end with it.
    supervisor_pid: int | None = Field(None, validation_alias="NEXA_SUPERVISOR_PID", ge=1)
    log_level: LogLevel = Field("INFO", validation_alias="LOG_LEVEL")
    # Set by pytest itself, from the start of its process and in those of its xdist workers.
    pytest_version: str | None = Field(None, validation_alias="PYTEST_VERSION")

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return (BASE_DIR / value.expanduser()).resolve()

    @field_validator("database_url")
    @classmethod
    def _postgres_only(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgres://", "postgresql://")):
            raise ValueError("allowed: postgresql://user:password@host:5432/name")
        return value

    @field_validator("allowed_hosts", "trusted_origins", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @property
    def teacher_port(self) -> int:
        """The offline teacher's port: beside PORT, so that two installations keep apart."""
        return self.offline_teacher_port or (self.port + 10) % 65536

    @property
    def testing(self) -> bool:
        """Whether pytest runs this process."""
        return self.pytest_version is not None


@cache
def read_env() -> Env:
    """Return the environment's values; raise `EnvError` naming each variable that is wrong."""
    try:
        return Env()
    except ValidationError as error:
        lines = [f"{fault['loc'][0]}: {_explain(fault['msg'])}" for fault in error.errors()]
        message = "The environment has values that cannot be used.\n  " + "\n  ".join(lines)
        raise EnvError(message) from None


def _explain(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "allowed:")
