"""Who may ask, for what, and how often: keys with scopes and limits, from a file of TOML.

    [[key]]
    name = "web"              # the owner of what is made with it
    sha256 = "9f86..."        # or key = "the key itself"
    scopes = ["verdicts"]
    corpora = ["docs"]
    rate = 120                # requests a minute
    concurrency = 8           # judgements at once

    ring = read_keys(Path("keys.toml"))
    key = ring.find(scope["headers"])         # None: 401

What is made with a key belongs to its name. The rate is a bucket of as many tokens, filled evenly, so a minute's worth
may come at once. Without any key all may do everything, under the name `anonymous`.
"""

import hmac
import re
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from agentjudge.case import NonBlank, Record, first_error
from agentjudge.errors import ConfigError, boundary
from agentjudge.serving.guards import digest, key_in

Scope = Literal["verdicts", "rewards", "retrieve", "admin"]
SCOPES: frozenset[Scope] = frozenset(get_args(Scope))
USUAL: frozenset[Scope] = SCOPES - {"admin"}
ANONYMOUS = "anonymous"


class Key(Record):
    """What a key allows."""

    name: NonBlank
    """The owner; keys of one name see the same."""
    scopes: frozenset[Scope] = USUAL
    corpora: frozenset[str] | None = None
    """The corpora that it may search; all when None."""
    rate: int | None = Field(default=None, ge=1)
    """Requests a minute."""
    concurrency: int | None = Field(default=None, ge=1)
    """Judgements at once."""

    def may_search(self, corpus: str) -> bool:
        """Whether the corpus is there for it."""
        return self.corpora is None or corpus in self.corpora


class _Entry(Key):
    """A table of the file."""

    key: str | None = None
    sha256: str | None = None

    @field_validator("sha256")
    @classmethod
    def _is_hash(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[0-9a-f]{64}", value):
            raise ValueError("must be 64 hexadecimal digits, as of `printf %s KEY | sha256sum`")
        return value

    @model_validator(mode="after")
    def _one(self) -> "_Entry":
        if (self.key is None) == (self.sha256 is None):
            raise ValueError("give either 'key' or 'sha256'")
        if self.key is not None and not self.key.strip():
            raise ValueError("a key must not be blank")
        return self

    @property
    def digest(self) -> bytes:
        return bytes.fromhex(self.sha256) if self.sha256 else digest((self.key or "").encode())


class KeyRing:
    """The keys that are known; the time that a look-up takes tells nothing of them.

    Args:
        keys: SHA-256 and what it allows; none is needed when there are none.
        clock: seconds that only grow.
    """

    def __init__(self, keys: Sequence[tuple[bytes, Key]] = (), *, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = list(keys)
        self._open = Key(name=ANONYMOUS, scopes=SCOPES)
        self._buckets: dict[str, tuple[float, float]] = {}
        self._clock = clock

    @property
    def needed(self) -> bool:
        """Whether requests need a key."""
        return bool(self._keys)

    def find(self, headers: Sequence[tuple[bytes, bytes]]) -> Key | None:
        """What the key of a request allows; None where it has none of ours."""
        if not self._keys:
            return self._open
        given, found = digest(key_in(headers)), None
        for known, key in self._keys:  # all of them, always
            if hmac.compare_digest(given, known):
                found = key
        return found

    def take(self, key: Key) -> float:
        """Count a request; 0 where it may pass, else the seconds after which to ask again."""
        if key.rate is None:
            return 0.0
        now, a_second = self._clock(), key.rate / 60
        left, then = self._buckets.get(key.name, (float(key.rate), now))
        left = min(float(key.rate), left + (now - then) * a_second)
        if left < 1:
            self._buckets[key.name] = left, now
            return (1 - left) / a_second
        self._buckets[key.name] = left - 1, now
        return 0.0


def read_keys(path: Path | None, plain: Sequence[str] = ()) -> KeyRing:
    """The keys of a file, and some that may do everything.

    Args:
        path: file of TOML; none when None.
        plain: keys themselves, each the owner of what is made with it.

    Raises:
        ConfigError: the file cannot be read, an entry is at fault, or a key is there twice.
    """
    keys: list[tuple[bytes, Key]] = []
    for key in plain:
        if not key.strip():
            raise ConfigError("a key must not be blank")
        known = digest(key.encode())
        keys.append((known, Key(name=f"key-{known.hex()[:8]}", scopes=SCOPES)))
    for number, table in enumerate(_tables(path) if path is not None else (), 1):
        try:
            entry = _Entry.model_validate(table)
        except ValidationError as exc:
            raise ConfigError(f"{path}, key {number}: {first_error(exc)}") from exc
        keys.append((entry.digest, Key(**entry.model_dump(exclude={"key", "sha256"}))))
    if len({known for known, _ in keys}) < len(keys):
        raise ConfigError("a key is there twice")
    return KeyRing(keys)


def _tables(path: Path) -> list[dict[str, Any]]:
    with boundary(ConfigError, f"cannot read the keys in {path}"):
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    tables = found.get("key")
    if not isinstance(tables, list) or set(found) != {"key"} or not tables:
        raise ConfigError(f"{path} has no [[key]], or something else beside it")
    return tables
