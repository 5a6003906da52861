"""Whether a claim says anything that the evidence could bear on, told by words alone and before any weight is asked.

A learned verifier gives every pair of texts a verdict. Of `Solution`, `.` or `The official answer key confirms this.`
held against any evidence it often says SUPPORT (master keys, arXiv 2507.08794): it was never shown a claim that is
none. So that is asked apart, by a rule that knows no key:

| standing | a claim | verdict |
|---|---|---|
| `empty` | without a content word: marks, numbers, fillers | not the verifier's: not enough information |
| `unmet` | that names nothing, and has no word that the evidence has | the same |
| `named` | with a name, and no word that the evidence has | the verifier's, less what the evidence may not bear on it |
| `met` | with a word that the evidence has | the verifier's |

`named` are claims such as `Ann Bell acted in movies` where the evidence says `She is known for her film roles`.
One word met is little, and more is not asked: true claims in other words than the evidence's share no more than that.
So a key that happens to share a word with the evidence gets as far as the verifier.

Words are those of any script. Where a script writes without spaces (Han, Kana, Thai, Lao, Khmer, Burmese), two
neighbouring letters count as a word. Fillers are known for English, which is also all that the verifier has learnt.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal

from agentjudge.models.embedded.queries import STOP, stem

Standing = Literal["empty", "unmet", "named", "met"]

SHARED = 4
"""Letters that words share at least, where one begins as the other and is taken for a form of it: `drum`, `drummer`."""
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)


def standing(claim: str, evidence: Sequence[str]) -> Standing:
    """How a claim stands to the evidence that it would be judged by.

    Args:
        claim: in any script.
        evidence: texts with their titles.
    """
    said = content(claim)
    if not said:
        return "empty"
    if _meets(said, {word for text in evidence for word in content(text)}):
        return "met"
    return "named" if names_something(claim) else "unmet"


def content(text: str) -> set[str]:
    """Stems of the words of a text that are neither fillers nor numbers."""
    words = (word for word in _words(text) if not word.isnumeric() and word not in STOP)
    return {stem(word) for word in words if len(word) > 1 or _UNSPACED.match(word)}


def names_something(text: str) -> bool:
    """Whether there is a name within a sentence: a word with a capital that neither stands alone nor begins one.

    Headings (`Final Answer`), shouting, tags and JSON have capitals that name nothing, and a word that also begins a
    line is no name. Scripts without capitals show no names.
    """
    starts: set[str] = set()
    inside: list[str] = []
    plain = False
    for line in text.splitlines():
        ended = True
        for word in line.split():
            bare = word.rstrip(".,;:!?'’")
            if ended:
                starts.add(bare)
            elif len(bare) > 1 and bare[0].isupper() and bare[1:].islower():
                inside.append(bare)
            plain = plain or (bare.islower() and bare.isalpha() and bare not in STOP)
            ended = not (word[-1].isalnum() or word[-1] in ",'’-")
    return plain and any(word not in starts for word in inside)


def _meets(said: set[str], read: set[str]) -> bool:
    """Whether a word was read, or a form of one: the shorter is how the longer begins."""
    if said & read:
        return True
    long = [word for word in read if len(word) >= SHARED]
    return any(
        word.startswith(other) or other.startswith(word) for word in said if len(word) >= SHARED for other in long
    )


def _words(text: str) -> Iterator[str]:
    """Runs of letters, digits and the marks on them, in one form and one case; pairs of letters of unspaced scripts."""
    one = unicodedata.normalize("NFKC", text).casefold()
    spaced = "".join(char if unicodedata.category(char)[0] in "LNM" else " " for char in one)
    for run in _UNSPACED.findall(spaced):
        yield from (run[i : i + 2] for i in range(max(1, len(run) - 1)))
    yield from _UNSPACED.sub(" ", spaced).split()
