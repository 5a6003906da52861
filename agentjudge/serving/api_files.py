"""What cases bring over HTTP, in a folder of each owner: nobody's pictures are in reach of anybody else.

    files = OwnerFiles(Path("served/owners/3f.."), limits)
    name = files.put(data, "chart.png", PICTURES)        # "SHA256/chart.png", which stands in the case
    case = files.admitted(case)                          # data URIs become such names; paths are refused
    judge.arun(files.opened(case))                       # names become paths
    files.read(sha256)                                   # the bytes, whatever they are; None where they are not ours

    owners/3f.../blobs/ab/abcd...        bytes by SHA-256: uploads, and all that judges show
    owners/3f.../uploads/abcd.../NAME    uploads under their names (hard links)

Limits are looked at before anything is decoded: bytes, pixels of a picture, pages of a PDF.
"""

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

from pydantic import Field

from agentjudge.case import Case, PagedDocument, Record
from agentjudge.errors import DataError, StoreError, boundary
from agentjudge.evidence import EvidenceStore
from agentjudge.pictures import MAX_BYTES, measure
from agentjudge.runs.pictures import media_type
from agentjudge.serving.rewards_files import PAGES, Files, decoded, renamed
from agentjudge.tools.pdf import inspect, is_pdf

TEXTS = {
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/html": ".html",
    "application/jsonl": ".jsonl",
    "text/csv": ".csv",
}
DOCUMENTS = {**PAGES, **TEXTS}
_SHA = re.compile(r"[0-9a-f]{64}")
_SAME = {".jpeg": ".jpg", ".htm": ".html", ".text": ".txt", ".markdown": ".md", ".ndjson": ".jsonl"}


class FileLimits(Record):
    """Of what comes with one request."""

    pixels: int = Field(default=50_400_000, ge=1)
    """Of a picture."""
    pages: int = Field(default=500, ge=1)
    """Of a PDF."""
    files: int = Field(default=64, ge=1)
    """Pictures, screenshots and documents of a case."""


class OwnerFiles:
    """The files of one owner.

    Args:
        folder: theirs; made where it is absent.
        limits: of what they bring.
        root: gives files of the server that their cases may name, too; none when None.
    """

    def __init__(self, folder: Path, limits: FileLimits, *, root: Files | None = None) -> None:
        self._root = root
        self.blobs = folder / "blobs"
        self._uploads = folder / "uploads"
        self._limits = limits

    def put(self, data: bytes, name: str, kinds: dict[str, str]) -> str:
        """Keep an upload; the name by which a case may call it.

        Args:
            data: its bytes.
            name: as the client calls the file; its suffix says what it is, unless its first bytes do.
            kinds: media types that are taken, and their suffixes.

        Raises:
            DataError: of another kind, over the limits, or damaged.
            StoreError: the disk refuses it.
        """
        suffix = self._checked(data, Path(name).suffix.lower(), kinds)
        sha = EvidenceStore(root=self.blobs).put(data)
        path = self._uploads / sha / f"{_plain(Path(name).stem)}{suffix}"
        with boundary(StoreError, "cannot keep the upload"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.link(self.blobs / sha[:2] / sha, path)
        return f"{sha}/{path.name}"

    def _checked(self, data: bytes, suffix: str, kinds: dict[str, str]) -> str:
        """The suffix of what it is."""
        kind = "application/pdf" if is_pdf(data) else media_type(data)
        if kind not in kinds:
            suffix = _SAME.get(suffix, suffix)
            if suffix not in set(kinds.values()) - set(PAGES.values()):
                raise DataError(f"a file is none of {', '.join(kinds)}")
            return suffix
        if kind == "application/pdf":
            if (pages := inspect(data)[1]) > self._limits.pages:
                raise DataError(f"a PDF has {pages:,} pages, over the limit of {self._limits.pages:,}")
        else:
            width, height = measure(data)
            if width * height > self._limits.pixels:
                raise DataError(f"a picture has {width} x {height} pixels, over the limit of {self._limits.pixels:,}")
        return kinds[kind]

    def admitted(self, case: Case) -> Case:
        """The case with its data URIs as uploads, and the files of `root` that it names.

        Raises:
            DataError: it names another path, has too many files, or one is refused by `put`.
        """
        if any(isinstance(document, PagedDocument) for document in case.documents):
            raise DataError("documents: pages by their hash are no input; send the file as a data URI")
        self.count(case)

        def admit(name: str, kinds: dict[str, str]) -> str:
            kinds = DOCUMENTS if kinds is PAGES else kinds
            if not name.startswith("data:"):
                if self._root is None:
                    how = "send data:image/png;base64,... or multipart"
                    raise DataError(f"a case must not name files of the server: {how}")
                path = self._root.allowed(name)
                with boundary(DataError, "a file that a case names cannot be read"):
                    if path.stat().st_size > MAX_BYTES:
                        raise DataError(f"a file that a case names is over {MAX_BYTES:,} bytes")
                    return self.put(path.read_bytes(), path.name, kinds)
            data, suffix = decoded(name, kinds)
            return self.put(data, f"sent{suffix}", kinds)

        return renamed(case, admit)

    def count(self, case: Case) -> None:
        """Refuse a case with too many files.

        Raises:
            DataError: it has.
        """
        names: list[str] = []

        def note(name: str, kinds: dict[str, str]) -> str:
            names.append(name)
            return name

        renamed(case, note)
        if len(names) > self._limits.files:
            raise DataError(f"a case brings over {self._limits.files} files")

    def opened(self, case: Case) -> Case:
        """The case with paths in the place of names."""
        return renamed(case, lambda name, kinds: str(self._uploads / name))

    def read(self, sha256: str) -> bytes | None:
        """Bytes of this owner's, or None."""
        if not _SHA.fullmatch(sha256):
            return None
        with suppress(StoreError):
            return EvidenceStore(root=self.blobs).get(sha256)
        return None

    def hidden(self, message: str) -> str:
        """A message without where the files are on the server."""
        return message.replace(f"{self._uploads}{os.sep}", "").replace(str(self.blobs.parent), "...")


def shown(case: Case) -> tuple[Case, dict[str, str]]:
    """The case as it is told, files by SHA-256, and the names of those files."""
    names: dict[str, str] = {}

    def tell(name: str, kinds: dict[str, str]) -> str:
        sha, _, names_it = name.partition("/")
        names[sha] = names_it
        return sha

    return renamed(case.blind(), tell), names


def owner_folder(root: Path, owner: str) -> Path:
    """Where an owner's files are; the name itself may be no name of a folder."""
    return root / "owners" / hashlib.sha256(owner.encode()).hexdigest()[:24]


def kind_of(data: bytes) -> str:
    """The media type under which bytes are handed out: never one that a browser would run."""
    if is_pdf(data):
        return "application/pdf"
    if kind := media_type(data):
        return kind
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/plain; charset=utf-8"


def _plain(stem: str) -> str:
    """A file's name that is safe on every disk; without a number at its end, which would make it a page."""
    name = re.sub(r"[^\w -]+", "_", stem).strip(" _-.")[:80]
    return f"{name or 'file'}-sent" if not name or name[-1].isdigit() else name
