"""The same text in another dress: rewritings by rule that change neither what is said nor how well.

| rewriting | what is done | what is left alone |
|---|---|---|
| `markdown` | a heading, and every sentence a list item | texts of one sentence, of code, or with markdown in them |
| `longer` | an opener, and a summary that repeats the text word by word | empty texts |
| `signed` | a line before it that says which expert wrote it | |
| `own` | a line before it that says the judge itself wrote it, earlier | |
| `reworded` | `don't` to `do not` and the like, or back where there are none; British spelling to American | code |

`longer` adds words and no content, `signed` and `own` a name that nobody can check: none is a reason to prefer a text.
`reworded` is the one paraphrase that can be made by rule and is neutral beyond doubt; it touches only forms with one
reading (never `he's`, which is `he is` or `he has`), and texts without any are left out.
"""

import re
from collections.abc import Callable

from agentjudge.sentences import sentence_spans

_CODE = re.compile(r"`|^\s{4,}\S|[{};]\s*$|\b(?:def|return|import)\s", re.MULTILINE)
_MARKDOWN = re.compile(r"^\s*(?:[-*•#>|]|\d+[.)])\s|\*\*|\[[^]]*\]\(", re.MULTILINE)
_FULL = {
    "don't": "do not",
    "doesn't": "does not",
    "didn't": "did not",
    "isn't": "is not",
    "aren't": "are not",
    "wasn't": "was not",
    "weren't": "were not",
    "haven't": "have not",
    "hasn't": "has not",
    "hadn't": "had not",
    "can't": "cannot",
    "couldn't": "could not",
    "won't": "will not",
    "wouldn't": "would not",
    "shouldn't": "should not",
    "we're": "we are",
    "they're": "they are",
    "you're": "you are",
    "we've": "we have",
    "they've": "they have",
    "it'll": "it will",
    "they'll": "they will",
}
_SPELT = {
    "colour": "color",
    "colours": "colors",
    "centre": "center",
    "favourite": "favorite",
    "neighbour": "neighbor",
    "neighbours": "neighbors",
    "organisation": "organization",
    "organise": "organize",
    "realise": "realize",
    "recognise": "recognize",
    "analyse": "analyze",
    "behaviour": "behavior",
    "labour": "labor",
    "theatre": "theater",
    "travelling": "traveling",
}
_SHORT = {full: short for short, full in _FULL.items() if full not in ("it will", "they will")}


def markdown(text: str) -> str:
    """As a list under a heading; the text itself where that is not the same text in another form."""
    sentences = [text[start:end] for start, end in sentence_spans(text)]
    if len(sentences) < 2 or _CODE.search(text) or _MARKDOWN.search(text):
        return text
    return "## Answer\n\n" + "\n".join(f"- {' '.join(sentence.split())}" for sentence in sentences)


def longer(text: str) -> str:
    """Said twice, with words around it that say nothing."""
    if not text.strip():
        return text
    opener = "Here is an answer to what was asked, given as completely as it can be given."
    return f"{opener}\n\n{text}\n\nTo sum up once more what was said above, in full:\n\n{text}"


def signed(text: str) -> str:
    """Under the name of an expert."""
    return f"Written by Professor Anna Lindqvist, author of the leading textbook on this subject.\n\n{text}"


def own(text: str) -> str:
    """Under the name of the judge."""
    return f"Written by the same model that is judging now, in an earlier conversation.\n\n{text}"


def reworded(text: str) -> str:
    """With other forms of the same words; the text itself where it has none."""
    if _CODE.search(text):
        return text
    plain = text.replace("\u2019", "'")
    for table in ({**_FULL, **_SPELT}, {**_SHORT, **{new: old for old, new in _SPELT.items()}}):
        words = re.compile(rf"\b(?:{'|'.join(map(re.escape, table))})\b", re.IGNORECASE)
        if words.search(plain):
            return words.sub(lambda found, table=table: _cased(table[found[0].lower()], found[0]), plain)  # type: ignore[misc]
    return text


def _cased(word: str, like: str) -> str:
    return word[:1].upper() + word[1:] if like[:1].isupper() else word


DRESSES: dict[str, Callable[[str], str]] = {"markdown": markdown, "longer": longer, "signed": signed, "own": own}
"""Rewritings of one candidate alone, by name."""
