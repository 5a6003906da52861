"""What can be told of generated claims without reading: baselines that have to stay at chance.

    python -m agentjudge.training.gym.shortcuts         # a line a baseline: accuracy, its 95% interval, chance
    measure(ClaimGym(hops=(1, 2)), train=1500, test=600)

| baseline | sees |
|---|---|
| `claim` | words and pairs of words of the claim |
| `overlap` | how many words of the claim stand together in a sentence, a document, anywhere; which names occur where |
| `search` | scores and number of the hits of the claim, as the real search gives them |
| `words found` | the words of the best hits |
| `all` | all of these together |
| `one hop` | whether the claimed thing is told of what it stands beside: reading, but of the last sentence alone |

Each is a softmax regression on its features, trained on claims with their labels. The last one is no shortcut by words:
it shows how much reading one sentence of several tells, which is less, the more hops there are.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from agentjudge.case import CLAIM_LABELS, Claim, Document
from agentjudge.runs.statistics import Interval, wilson
from agentjudge.tools.index import passage_text
from agentjudge.training.gym.claims import ClaimGym, World
from agentjudge.training.gym.names import Split

Features = Callable[[World, Claim], dict[str, float]]
HITS = 5
_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Words in lower case, in order."""
    return [word.lower() for word in _WORD.findall(text)]


def of_claim(world: World, case: Claim) -> dict[str, float]:
    """Words and pairs of words of the claim."""
    said = words(case.claim)
    pairs = [" ".join(pair) for pair in zip(said, said[1:], strict=False)]
    return {f"{word}": 1.0 for word in [*said, *pairs]} | {"length": len(said) / 10}


def of_overlap(world: World, case: Claim) -> dict[str, float]:
    """How much of the claim stands where."""
    claim = set(words(case.claim))
    names = [word for word in words(case.claim) if word in {d.title.lower() for d in world.documents}]
    documents = [set(words(f"{document.title} {document.text}")) for document in world.documents]
    sentences = [
        set(words(document.text[s.start : s.end])) for document in world.documents for s in document.sentences()
    ]
    best = sorted((len(claim & each) / len(claim) for each in sentences), reverse=True)
    widest = sorted((len(claim & each) / len(claim) for each in documents), reverse=True)
    found = {f"sentence {n}": share for n, share in enumerate(best[:3])}
    found |= {f"document {n}": share for n, share in enumerate(widest[:3])}
    found |= {f"whole claims {n}": float(sum(share == 1 for share in best) > n) for n in range(2)}
    counts = Counter(word for each in documents for word in each)
    ends = (words(case.claim)[-1], *names[:1])
    return found | {f"occurs {n}": counts[name] / 10 for n, name in enumerate(ends)} | {"absent": float(0 in best[:1])}


def of_search(world: World, case: Claim) -> dict[str, float]:
    """Scores of the best hits for the claim, and how far apart they are."""
    scores = [hit.score for hit in world.index.search([case.claim], HITS)[0]]
    scores += [0.0] * (HITS - len(scores))
    gaps = {f"gap {n}": a - b for n, (a, b) in enumerate(zip(scores, scores[1:], strict=False))}
    return {f"hit {n}": score / 10 for n, score in enumerate(scores)} | gaps


def of_words_found(world: World, case: Claim) -> dict[str, float]:
    """Words of the best three hits, and which of them are the claim's."""
    hits = world.index.search([case.claim], 3)[0]
    found = Counter(word for hit in hits for word in words(passage_text(world.corpus, hit.passage)))
    claim = set(words(case.claim))
    shared = {f"shared {word}": float(n) for word, n in found.items() if word in claim}
    return {word: float(n) for word, n in found.items()} | shared | {"all": sum(word in found for word in claim) / 10}


def of_one_hop(world: World, case: Claim) -> dict[str, float]:
    """Whether a document tells of its own thing that it has what is claimed."""
    truth = world.truth(case.id)
    told = {(relation, subject) for relation, subject, object in world.facts if object == truth.claimed}
    given = [document for document in world.reading(case).documents if isinstance(document, Document)]
    titles = {document.title for document in given if len(document.spans) > 1}
    own = any(relation == truth.chain[-1].name and subject in titles for relation, subject in told)
    return {"told": float(own), "not told": float(not own)}


PARTS: dict[str, Features] = {
    "claim": of_claim,
    "overlap": of_overlap,
    "search": of_search,
    "words found": of_words_found,
    "one hop": of_one_hop,
}
BASELINES: dict[str, tuple[str, ...]] = {
    "claim": ("claim",),
    "overlap": ("overlap",),
    "search": ("search",),
    "words found": ("words found",),
    "all": ("claim", "overlap", "search", "words found"),
    "one hop": ("one hop",),
}
"""The parts that each sees."""


def measure(
    gym: ClaimGym, *, train: int = 1500, test: int = 600, baselines: Sequence[str] = tuple(BASELINES)
) -> dict[str, Interval]:
    """The accuracy of baselines that were trained on the first claims of a gym, on those after them.

    Args:
        gym: with labels in balance, so that chance is one in three.
        train: claims to learn from.
        test: claims to be right about.
        baselines: names of those in `BASELINES`.
    """
    wanted = {part for name in baselines for part in BASELINES[name]}
    rows, labels = list[dict[str, dict[str, float]]](), list[int]()
    claims = ((world, case) for world in gym.worlds() for case in world.cases)
    for world, case in islice(claims, train + test):
        rows.append({part: PARTS[part](world, case) for part in wanted})
        labels.append(CLAIM_LABELS.index(world.truth(case.id).label))
    gold, found = np.array(labels), {}
    for name in baselines:
        features = [{f"{p} {key}": v for p in BASELINES[name] for key, v in row[p].items()} for row in rows]
        found[name] = wilson(int((_predicted(features, gold[:train]) == gold[train:]).sum()), test)
    return found


def _predicted(features: Sequence[dict[str, float]], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """What a softmax regression says of the rows for which there are no labels.

    Features of a single row of the training are left out: they can tell nothing of another.
    """
    train = len(labels)
    seen = Counter(name for row in features[:train] for name in row)
    place = {name: n for n, name in enumerate(name for name, times in seen.items() if times > 1)}
    table = np.zeros((len(features), len(place) + 1))
    table[:, -1] = 1.0
    for n, row in enumerate(features):
        for name, value in row.items():
            if name in place:
                table[n, place[name]] = value
    alike, wanted = table @ table[:train].T, np.eye(len(CLAIM_LABELS))[labels]  # by rows: there are fewer than features
    known, shares = alike[:train], np.zeros((train, len(CLAIM_LABELS)))
    step = 2 * train / float(np.abs(known).sum(1).max())
    for _ in range(300):
        odds = known @ shares
        odds = np.exp(odds - odds.max(1, keepdims=True))
        odds /= odds.sum(1, keepdims=True)
        shares -= step * ((odds - wanted) / train + 1e-4 * shares)
    predicted: NDArray[np.int64] = (alike[train:] @ shares).argmax(1)
    return predicted


def main() -> None:
    """Print the baselines for claims over one, two and three hops, for training and for test worlds."""
    print(f"{'split':6} {'hops':5} {'baseline':12} accuracy  95% interval     chance 0.333")
    for split in get_args(Split):
        for hops in ((1,), (2,), (3,), (1, 2, 3)):
            gym = ClaimGym(hops=hops, documents=12, again=0.3, split=split)
            for name, found in measure(gym).items():
                reach = "".join(map(str, hops))
                print(f"{split:6} {reach:5} {name:12} {found.mean:.3f}     [{found.low:.3f}, {found.high:.3f}]")


if __name__ == "__main__":
    main()
