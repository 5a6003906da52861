"""What stands before every route: a limit on bodies, and keys.

    app.add_middleware(BodyLimit, most=16_000_000)
    app.add_middleware(Locked, keys=Keys(("secret",)))
    keys.admit(scope)                # False: answer 401

A key comes as `Authorization: Bearer KEY`, as `X-API-Key: KEY`, or as the password of the address,
`http://any:KEY@host:8010/get_reward`, for trainers that can be given an address and nothing else. `/health` is open.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from agentjudge.errors import ConfigError

OPEN = frozenset({"/health"})
"""Paths for which no key is asked."""


class BodyLimit:
    """Refuses bodies over `most` bytes with 413, before they are held in memory."""

    def __init__(self, app: Any, *, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, counting its bytes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def limited() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._most:
                from starlette.exceptions import HTTPException

                raise HTTPException(413, f"the body is over {self._most} bytes")
            return message

        await self._app(scope, limited, send)


class Keys:
    """Knows the keys; the time that a comparison takes tells nothing of them.

    Args:
        keys: of which a request needs one; where there are none, none is needed.

    Raises:
        ConfigError: one is blank.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not all(key.strip() for key in keys):
            raise ConfigError("a key must not be blank")
        self._digests = [digest(key.encode()) for key in keys]

    def admit(self, scope: Any) -> bool:
        """Whether a request may pass."""
        if not self._digests or scope["type"] != "http" or scope["path"] in OPEN:
            return True
        given = digest(key_in(scope["headers"]))
        matches = [hmac.compare_digest(given, known) for known in self._digests]  # all of them, always
        return any(matches)


class Locked:
    """Answers 401 to requests without a key."""

    def __init__(self, app: Any, *, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        if self._keys.admit(scope):
            await self._app(scope, receive, send)
            return
        from starlette.responses import JSONResponse

        detail = {"detail": "a key is needed: Authorization: Bearer KEY"}
        await JSONResponse(detail, 401, {"WWW-Authenticate": "Bearer"})(scope, receive, send)


def digest(key: bytes) -> bytes:
    """By which a key is known."""
    return hashlib.sha256(key).digest()


def key_in(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The key of a request; empty where it has none, which is nobody's key."""
    given = dict(headers)
    scheme, _, value = given.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return value.strip()
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
        except ValueError:
            return b""
    return given.get(b"x-api-key", b"")
