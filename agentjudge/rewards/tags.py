"""The strict way to read a verdict tag: one tag, at the very end, and no other anywhere.

    sole_tag("<think>...</think><answer>[[A]]</answer>", ("<answer>[[A]]</answer>", "<answer>[[B]]</answer>"))   # 0

RM-R1 (arXiv 2505.02387) looks at the last 80 characters only, and at an answer that names both sides, which hedges, as
at a wrong one. Here the tags are counted in the whole of what follows the thought, so that one which was written before
and taken back is a hedge too.
"""

import re
from collections.abc import Sequence

from agentjudge.trace import Trace

WINDOW = 80
"""Characters at the end of the text within which the tag has to stand whole."""
_SPACE = re.compile(r"\s+")


def sole_tag(text: str, tags: Sequence[str], *, window: int = WINDOW) -> int | None:
    """Which of the tags is the only one in a text and stands at its end; None where there is none or more than one.

    Case and white space do not matter.

    Args:
        text: of the last turn; a thought that ends in `</think>` is left out.
        tags: the whole tags, one a side.
        window: characters at the end in which it has to stand.
    """
    thought, end, rest = text.partition("</think>")
    said = _plain(rest if end else thought)
    counts = [said.count(_plain(tag)) for tag in tags]
    if sum(counts) != 1:
        return None
    found = counts.index(1)
    return found if _plain(tags[found]) in said[-window:] else None


def last_text(trace: Trace) -> str:
    """The text of the last turn; empty where there is none, or where it calls a tool."""
    said = trace.turns[-1].message_out if trace.turns else {}
    text = said.get("content")
    return text if isinstance(text, str) and not said.get("tool_calls") else ""


def _plain(text: str) -> str:
    return _SPACE.sub("", text).casefold()
