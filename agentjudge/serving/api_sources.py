"""What a page needs to show evidence: the passage around a quote, and the picture that a crop was cut out of.

sources, pictures = sources_of(refs, store), pictures_of(images, store)
changes(before, after)               # of two verdicts in a session
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from agentjudge.boxes import share
from agentjudge.errors import DataError, StoreError
from agentjudge.evidence import EvidenceRef, EvidenceStore
from agentjudge.pictures import measure
from agentjudge.trace import Trace
from agentjudge.verdict import Verdict

AROUND = 400
"""Characters on each side of a quote."""
FIELDS = ("status", "label", "score", "preference", "ranking", "step_scores", "confidence")
"""What is compared of two verdicts."""
_CHUNK = re.compile(rb"(.{4})tEXtcrop\x00", re.DOTALL)
"""Where a crop's PNG begins to say its place. The chunk's length says where that ends: its checksum may be digits."""
_PLACE = re.compile(rb"([0-9a-f]{64}) (\d{1,6}) (\d{1,6}) (\d{1,6}) (\d{1,6})")


def told(ref: EvidenceRef) -> dict[str, Any]:
    """A reference in JSON, with what applies."""
    return ref.model_dump(mode="json", exclude_none=True)


def sources_of(refs: Iterable[EvidenceRef], store: EvidenceStore) -> dict[str, Any]:
    """By evidence id, the title of each quote's document and the text around it."""
    found: dict[str, Any] = {}
    for ref in refs:
        if not ref.id or ref.doc is None or ref.start is None or ref.end is None:
            continue
        try:
            document = store.document(ref.doc)
        except StoreError:
            continue
        start, end = ref.start, ref.end
        before, after = document.text[max(0, start - AROUND) : start], document.text[end : end + AROUND]
        found[ref.id] = {"title": document.title, "before": before, "after": after}
    return found


def pictures_of(images: Mapping[str, str], store: EvidenceStore) -> dict[str, Any]:
    """By SHA-256, the sizes of pictures and where they lie in their originals; those too, where they are not named.

    Args:
        images: SHA-256 to name.
        store: of the judgement.
    """
    found: dict[str, Any] = {}
    todo = dict(images)
    while todo:
        sha, name = todo.popitem()
        try:
            image = store.image(sha)
        except StoreError:
            continue
        root = store.image(image.root)
        found[sha] = {
            "name": name,
            "size": image.size,
            "parent": image.parent,
            "root": image.root,
            "box_root": tuple(image.box_root),
            "root_size": root.size,
            "media_type": image.media_type,
        }
        for above in (image.parent, image.root):
            if above is not None and above not in found and above not in todo:
                todo[above] = ""
    return found


def restore(store: EvidenceStore, shas: Iterable[str]) -> None:
    """Make pictures known to a store whose folder has their bytes: crops as crops again, in their places.

    Raises:
        StoreError: the bytes are gone.
        DataError: they are no picture.
    """
    for sha in shas:
        try:
            store.image(sha)
        except StoreError:
            data = store.get(sha)
            if not _cut_again(store, sha, data):
                store.add_image(data)


def _cut_again(store: EvidenceStore, sha: str, data: bytes) -> bool:
    """Whether the picture is a crop, as its PNG says (`EvidenceStore.crop`), and is cut again out of the same place."""
    chunk = _CHUNK.search(data, 0, 4_096) if data.startswith(b"\x89PNG") else None
    length = int.from_bytes(chunk[1]) - len("crop\0") if chunk is not None else 0
    found = _PLACE.fullmatch(data, chunk.end(), chunk.end() + length) if chunk is not None and length > 0 else None
    if found is None:
        return False
    with suppress(StoreError, DataError):  # what an upload says of itself may be anything
        parent = found[1].decode()
        restore(store, [parent])
        left, top, right, bottom = (int(number) for number in found.groups()[1:])
        box = share((left, top, right, bottom), store.image(parent).stored)
        return store.crop(parent, box, size=measure(data)).sha256 == sha
    return False


def changes(since: str, before: Verdict, after: Verdict) -> dict[str, Any]:
    """What a verdict says otherwise than the one before it, whose id is `since`."""
    was, now = before.model_dump(mode="json"), after.model_dump(mode="json")
    cited, citing = ({ref.id: ref for ref in verdict.evidence} for verdict in (before, after))
    return {
        "since": since,
        "fields": {name: {"before": was[name], "after": now[name]} for name in FIELDS if was[name] != now[name]},
        "evidence": {
            "added": [told(ref) for id, ref in citing.items() if id not in cited],
            "dropped": [told(ref) for id, ref in cited.items() if id not in citing],
        },
    }


def named_pictures(trace: Trace) -> dict[str, str]:
    """The pictures that were given or shown, SHA-256 to name; the first name of each."""
    found: dict[str, str] = {}
    for name, sha in trace.pictures.items():
        found.setdefault(sha, name)
    return found
