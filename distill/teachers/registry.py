"""Which teachers there are: `provider:model`, split at the first colon.

    openai:gpt-4o                        OPENAI_API_KEY, OPENAI_BASE_URL
    openrouter:openai/gpt-4o             OPENROUTER_API_KEY; a bare `gpt-4o` is completed
    vllm:Qwen/Qwen3-8B                   VLLM_BASE_URL, a key only if the server wants one
    offline:extractive, offline:rubric   the stand-ins of this project
    https://host:8443/v1#model-id        any base URL of the protocol, the model after the `#`

The last form takes its key from a variable that names its host (`TEACHER_API_KEY_HOST`, dots and
dashes as underscores), so that no other provider's key is ever sent to an address somebody typed.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from distill.logic.errors import InputError
from distill.logic.retry import Deadlines
from distill.logic.types import Teacher
from distill.teachers.endpoint import Endpoint
from distill.teachers.offline.models import OFFLINE_MODELS
from distill.teachers.openai_protocol import OpenAIProtocol, open_session


@dataclass(frozen=True, slots=True)
class Provider:
    """One row of the table. `<NAME>_BASE_URL` overrides `base_url`; `is_free` means ours to run."""

    name: str
    base_url: str
    needs_key: bool = True
    is_free: bool = False

    @property
    def key_variable(self) -> str:
        return f"{self.name.upper()}_API_KEY"

    @property
    def base_url_variable(self) -> str:
        return f"{self.name.upper()}_BASE_URL"


PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider("openai", "https://api.openai.com/v1"),
        Provider("openrouter", "https://openrouter.ai/api/v1"),
        Provider("anthropic", "https://api.anthropic.com/v1"),
        Provider("gemini", "https://generativelanguage.googleapis.com/v1beta/openai"),
        Provider("groq", "https://api.groq.com/openai/v1"),
        Provider("together", "https://api.together.xyz/v1"),
        Provider("vllm", "http://127.0.0.1:8000/v1", needs_key=False, is_free=True),
        Provider("ollama", "http://127.0.0.1:11434/v1", needs_key=False, is_free=True),
        Provider("offline", "http://127.0.0.1:8010/v1", needs_key=False, is_free=True),
    )
}

_URL_PROVIDERS = ("http", "https")

# How OpenRouter's ids begin, by how the bare model's name begins.
_OPENROUTER_VENDORS = {
    "gpt-": "openai",
    "chatgpt": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "claude": "anthropic",
    "gemini": "google",
    "gemma": "google",
    "llama": "meta-llama",
    "mistral": "mistralai",
    "mixtral": "mistralai",
    "ministral": "mistralai",
    "codestral": "mistralai",
    "qwen": "qwen",
    "qwq": "qwen",
    "deepseek": "deepseek",
    "grok": "x-ai",
    "command": "cohere",
    "phi-": "microsoft",
    "kimi": "moonshotai",
    "glm": "z-ai",
}


@dataclass(frozen=True, slots=True)
class CanonicalName:
    """A teacher's name as everything stores it; `note` tells a person what was changed, or ''."""

    name: str
    note: str = ""


def canonical_name(name: str) -> CanonicalName:
    """The full name for what somebody typed. Raises InputError with the nearest known name."""
    typed = name.strip()
    provider, model = _split(typed)
    if provider == "offline" and model not in OFFLINE_MODELS:
        known = " or ".join(f"offline:{model}" for model in OFFLINE_MODELS)
        raise InputError(f"the offline teacher has no model {model!r}: write {known}")
    full = f"{provider}:{_full_model(provider, model)}"
    return CanonicalName(full, "" if full == typed else f"{typed} is taken as {full}")


def resolve(name: str, *, offline_url: str | None = None) -> Endpoint:
    """Where `name` answers, and with which key; reads the environment.

    `offline_url` is the base URL of a running offline teacher (with its /v1). Raises InputError
    where the name is unknown or its key is missing; the text names the variable.
    """
    provider, model = _split(canonical_name(name).name)
    return _endpoint(provider, model, offline_url)


def resolve_provider(name: str, *, offline_url: str | None = None) -> Endpoint:
    """Where the provider of `name` answers, its model left aside: `openai`, `openai:` and
    `openai:gpt-4o` are the same, as are `https://host/v1` and `https://host/v1#model`.

    Raises InputError as `resolve` does.
    """
    provider, _, rest = name.strip().partition(":")
    if provider.lower() in _URL_PROVIDERS:
        provider, model = _split(f"{provider}:{rest.partition('#')[0]}#any")
    else:
        provider, model = _split(f"{provider}:any")
    return _endpoint(provider, model, offline_url)


def key_variable(name: str) -> str | None:
    """The environment variable that holds the key of this teacher; None where it needs none."""
    provider, model = _split(canonical_name(name).name)
    if provider in _URL_PROVIDERS:
        return _host_variable(f"{provider}:{model}")
    row = PROVIDERS[provider]
    return row.key_variable if row.needs_key else None


def is_free(name: str) -> bool:
    """Whether asking costs no money: offline, ollama, vllm. Any other base URL may cost some."""
    provider, _ = _split(canonical_name(name).name)
    return provider in PROVIDERS and PROVIDERS[provider].is_free


def is_offline(name: str) -> bool:
    """Whether this is one of the project's own stand-ins."""
    return name.partition(":")[0].strip().lower() == "offline"


@asynccontextmanager
async def open_teachers(
    *,
    slots: int,
    offline_url: str | None = None,
    deadlines: Deadlines | None = None,
    connect_timeout: float = 10.0,
    total_timeout: float = 180.0,
) -> AsyncIterator[Teacher]:
    """A teacher that routes by `request.teacher`, over one session with `slots` connections.

    `deadlines` hold for each request; the two timeouts, in seconds, stand in where there are none.
    A name that cannot be resolved is a TeacherError when it is asked (AUTHENTICATION); call
    `resolve` beforehand to tell a person early.
    """
    limits = deadlines or Deadlines(
        connect_seconds=connect_timeout,
        first_byte_seconds=total_timeout,
        total_seconds=total_timeout,
    )
    endpoints: dict[str, Endpoint] = {}

    def find_endpoint(name: str) -> Endpoint:
        if name not in endpoints:
            endpoints[name] = resolve(name, offline_url=offline_url)
        return endpoints[name]

    async with open_session(slots=slots) as session:
        yield OpenAIProtocol(session, find_endpoint, deadlines=limits)


def _split(name: str) -> tuple[str, str]:
    provider, colon, model = name.partition(":")
    provider, model = provider.strip().lower(), model.strip()
    if not colon:
        raise InputError(f"{name!r} names no provider: {_nearest(name)}")
    if provider in _URL_PROVIDERS:
        return provider, _checked_url(name, provider, model)
    if provider not in PROVIDERS:
        raise InputError(f"there is no provider {provider!r}: {_nearest(provider)}")
    if not model:
        raise InputError(f"{name!r} names no model: write {provider}:model")
    return provider, model


def _checked_url(name: str, provider: str, rest: str) -> str:
    try:
        parts = urlsplit(f"{provider}:{rest}")
        is_whole = bool(parts.hostname and parts.fragment) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole:
        raise InputError(f"{name!r} is not a teacher: write https://host/v1#model-id")
    if parts.username or parts.password:
        variable = _host_variable(f"{provider}:{rest}")
        raise InputError(f"a teacher's address must hold no password: set {variable} instead")
    return rest


def _nearest(typed: str) -> str:
    near = difflib.get_close_matches(typed.lower(), PROVIDERS, n=1)
    vendor = _openrouter_vendor(typed)
    if near:
        return f"did you mean {near[0]}:model?"
    if vendor:
        own = f"{vendor}:{typed} or " if vendor in PROVIDERS else ""
        return f"write {own}openrouter:{vendor}/{typed}"
    return f"write provider:model, with one of {', '.join(PROVIDERS)}, or https://host/v1#model-id"


def _full_model(provider: str, model: str) -> str:
    """The provider's own id for a model that was named shortly, or after another's fashion."""
    if provider == "openrouter" and "/" not in model:
        vendor = _openrouter_vendor(model)
        if not vendor:
            raise InputError(
                f"openrouter names its models vendor/model, and the vendor of {model!r} is not "
                "known here: write it as on https://openrouter.ai/models"
            )
        return f"{vendor}/{model}"
    if provider in ("openai", "anthropic"):
        return model.removeprefix(f"{provider}/")
    return model


def _openrouter_vendor(model: str) -> str:
    starts = (start for start in _OPENROUTER_VENDORS if model.lower().startswith(start))
    return next((_OPENROUTER_VENDORS[start] for start in starts), "")


def _endpoint(provider: str, model: str, offline_url: str | None) -> Endpoint:
    if provider in _URL_PROVIDERS:
        return _resolve_url(provider, model)
    row = PROVIDERS[provider]
    key = _read_key(row.key_variable)
    if row.needs_key and not key:
        raise InputError(
            f"{provider}:{model} needs a key: set the environment variable {row.key_variable}"
        )
    base_url = _base_url(row)
    if provider == "offline":
        base_url = (offline_url or base_url).rstrip("/")
    return Endpoint(
        base_url=base_url,
        api_key=key,
        model=model,
        provider=provider,
        proxy=_proxy_for(base_url),
        seeds_draws=provider == "offline",
    )


def _base_url(provider: Provider) -> str:
    """The provider's base URL or its override; an override without a path gets the usual path."""
    override = os.environ.get(provider.base_url_variable, "").strip().rstrip("/")
    if provider.name == "offline" and not override:
        port = os.environ.get("OFFLINE_TEACHER_PORT", "").strip()
        return f"http://127.0.0.1:{port}/v1" if port else provider.base_url
    if not override:
        return provider.base_url
    if not override.startswith(("http://", "https://")):
        raise InputError(f"{provider.base_url_variable} must begin with http:// or https://")
    usual_path = urlsplit(provider.base_url).path
    return override if urlsplit(override).path else override + usual_path


def _read_key(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"{variable} holds characters that no key has: set it anew")
    return key


def _resolve_url(scheme: str, rest: str) -> Endpoint:
    address, _, model = f"{scheme}:{rest}".partition("#")
    base_url = address.rstrip("/")
    return Endpoint(
        base_url=base_url,
        api_key=_read_key(_host_variable(address)),
        model=model,
        provider=urlsplit(address).hostname or scheme,
        proxy=_proxy_for(base_url),
    )


def _host_variable(address: str) -> str:
    host = urlsplit(address).hostname or ""
    return "TEACHER_API_KEY_" + re.sub(r"[^A-Z0-9]+", "_", host.upper())


def _proxy_for(base_url: str) -> str | None:
    """The environment's proxy, decided once an endpoint: aiohttp would look at each request."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if host in ("127.0.0.1", "localhost", "::1") or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)
