"""Texts that tools brought into a conversation, kept so that it can be gone on with.

    kept = ThreadDocuments(folder / "threads" / "v_1.jsonl", corpus)
    kept.restore(store, refs)             # before it goes on
    kept.save(store)                      # after every step

What a judge found on the web is written down, a line a document; what came out of a corpus is looked up there. Of what
is in neither, the sentences that were shown are put in their places, with blanks between.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import orjson

from agentjudge.errors import DataError, StoreError, boundary
from agentjudge.evidence import EvidenceRef, EvidenceStore
from agentjudge.runs.packing import dumps
from agentjudge.tools.corpus import Corpus


class ThreadDocuments:
    """The texts of one conversation.

    Args:
        file: where they are written.
        corpus: that the judge searches.
    """

    def __init__(self, file: Path, corpus: Corpus | None) -> None:
        self._file, self._corpus = file, corpus
        self._known: set[str] = set()

    def restore(self, store: EvidenceStore, refs: Iterable[EvidenceRef]) -> None:
        """Give a store the texts that references lie in."""
        if self._file.exists():
            for line in self._file.read_bytes().splitlines():
                with suppress(orjson.JSONDecodeError, StoreError):  # a line that was cut off
                    document = orjson.loads(line)
                    store.add_document(document["id"], document["text"], title=document["title"])
        texts: dict[str, str] = {}
        for ref in refs:
            if ref.doc is not None and ref.start is not None and ref.quote and not self._there(store, ref.doc):
                text = texts.get(ref.doc, "").ljust(ref.start)
                texts[ref.doc] = text[: ref.start] + ref.quote + text[ref.start + len(ref.quote) :]
        for id, text in texts.items():
            store.add_document(id, text)
        self._known = {document.id for document in store.documents}

    def _there(self, store: EvidenceStore, id: str) -> bool:
        with suppress(StoreError):
            store.document(id)
            return True
        if self._corpus is not None:
            with suppress(DataError):
                document = self._corpus.document(id)
                store.add_document(id, document.text, title=document.title)
                return True
        return False

    def save(self, store: EvidenceStore) -> None:
        """Write down what came to a store since the last time."""
        new = [document for document in store.documents if document.id not in self._known]
        self._known |= {document.id for document in new}
        lines = b""
        for document in new:
            if self._corpus is not None:
                with suppress(DataError):
                    self._corpus.document(document.id)
                    continue
            lines += dumps({"id": document.id, "title": document.title, "text": document.text}) + b"\n"
        if lines:
            with boundary(StoreError, "cannot keep what was found"):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with self._file.open("ab") as file:
                    file.write(lines)
