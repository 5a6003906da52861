"""Prompt files, and the fences around text that nobody vouches for.

A prompt is a text file with `{{name}}` placeholders, filled in one pass: a value that itself looks like a
placeholder stays what it is. Untrusted text (candidates, pages, documents, trajectories) goes through `Fence`,
which wraps it in markers that carry a nonce of the run and escapes whatever in it looks like such a marker.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from agentjudge.errors import ConfigError

_PLACEHOLDER = re.compile(r"\{\{([a-z_][a-z0-9_]*)\}\}")
_MARKER = re.compile(r"<(?=/?untrusted\b|[|\uff5c][\w\u2581-]{1,60}[|\uff5c]>)", re.IGNORECASE)
"""Our own markers, and the special tokens of chat templates, which servers read in the text of a message too."""


@lru_cache(maxsize=256)
def load_prompt(path: Path) -> str:
    """The text of a prompt file, without its final newline."""
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except OSError as exc:
        raise ConfigError(f"cannot read the prompt {path}: {exc.strerror}") from exc


def fill(template: str, **values: str) -> str:
    """Replace every `{{name}}` in one pass.

    Raises:
        ConfigError: a placeholder has no value, or a value has no placeholder.
    """
    names = set(_PLACEHOLDER.findall(template))
    if names != set(values):
        raise ConfigError(f"prompt needs {sorted(names)}, was given {sorted(values)}")
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def prompt_hash(texts: Iterable[str]) -> str:
    """SHA-256 over the texts, each with its length, in order."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


class Fence:
    """Markers of one judgement around untrusted text.

    Args:
        seed: makes the nonce reproducible; a random one when None.
        salt: distinguishes judgements of one seed, such as the case's id.
    """

    __slots__ = ("nonce",)

    def __init__(self, *, seed: int | None = None, salt: str = "") -> None:
        self.nonce = secrets.token_hex(4) if seed is None else hashlib.sha256(f"{seed}:{salt}".encode()).hexdigest()[:8]

    def wrap(self, text: str, *, what: str = "text") -> str:
        """`text` between an opening and a closing marker with the nonce; markers inside it are escaped."""
        return f'<untrusted-{self.nonce} what="{what}">\n{self.escape(text)}\n</untrusted-{self.nonce}>'

    @staticmethod
    def escape(text: str) -> str:
        """`text` with anything that looks like one of our markers, or like `<|im_end|>`, made harmless."""
        return _MARKER.sub("&lt;", text)
