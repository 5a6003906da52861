"""Pictures and documents of cases that come over HTTP: inline, or from one folder; never any file of the server.

    files = Files()                                  # data URIs alone
    files = Files(Path("/data/screenshots"))         # paths below this folder too, symbolic links followed first
    case, contents = files.admitted(case)
    async with on_disk(case) as ready:
        await judge.arun(ready)

What a case names as a picture, a screenshot or a document is `data:image/png;base64,...`, or a path below the folder
that the server's owner allows. Texts are inline documents and need neither. Bytes of data URIs are files of a folder
that lasts as long as the judgement.
"""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agentjudge.case import Case, Document, PagedDocument
from agentjudge.errors import DataError
from agentjudge.opening import has_files

PICTURES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif"}
PAGES = {**PICTURES, "application/pdf": ".pdf"}
_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,")


class Files:
    """What cases may bring.

    Args:
        root: folder below which paths are read; none when None.
    """

    def __init__(self, root: Path | None = None) -> None:
        if root is not None and not root.is_dir():
            raise DataError(f"no such folder: {root}")
        self.root = None if root is None else root.resolve()
        """The folder, as it really is."""

    def admitted(self, case: Case) -> tuple[Case, list[str]]:
        """The case with its paths as they really are, and the SHA-256 of what is in their files.

        Raises:
            DataError: a file that it must not name, that is absent, or a data URI that is none.
        """
        if any(isinstance(document, PagedDocument) for document in case.documents):
            raise DataError("documents: pages by their hash are no input; send the file as a data URI")
        if not has_files(case):
            return case, []
        contents: list[str] = []

        def admit(name: str, kinds: dict[str, str]) -> str:
            if name.startswith("data:"):
                decoded(name, kinds)
                return name
            path = self.allowed(name)
            contents.append(hashlib.sha256(path.read_bytes()).hexdigest())
            return str(path)

        return renamed(case, admit), contents

    def allowed(self, name: str) -> Path:
        """The file that a path means.

        Raises:
            DataError: it is not below the folder, or not there.
        """
        if self.root is None:
            raise DataError("a case must not name files of the server: send pictures as data:image/png;base64,...")
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root) or not path.is_file():
            raise DataError("a case names a file that is not in the folder that the server allows")
        return path


@asynccontextmanager
async def on_disk(case: Case) -> AsyncIterator[Case]:
    """The case with the bytes of its data URIs as files, which are gone afterwards."""
    if not any(name.startswith("data:") for name in _names(case)):
        yield case
        return
    with TemporaryDirectory(prefix="agentjudge-") as folder:
        yield await asyncio.to_thread(renamed, case, lambda name, kinds: _written(name, kinds, Path(folder)))


def _written(name: str, kinds: dict[str, str], folder: Path) -> str:
    if not name.startswith("data:"):
        return name
    data, suffix = decoded(name, kinds)
    path = (
        folder / f"{hashlib.sha256(data).hexdigest()[:32]}-sent{suffix}"
    )  # no number at its end: that would be a page
    if not path.exists():
        path.write_bytes(data)
    return str(path)


def decoded(uri: str, kinds: dict[str, str]) -> tuple[bytes, str]:
    """The bytes of a data URI, and the suffix that their kind has.

    Raises:
        DataError: not base64, or of another kind.
    """
    head = _URI.match(uri)
    if head is None or head[1] not in kinds:
        raise DataError(f"a data URI must begin with data:KIND;base64, where KIND is {', '.join(kinds)}")
    try:
        return base64.b64decode(uri[head.end() :], validate=True), kinds[head[1]]
    except ValueError as exc:
        raise DataError(f"a data URI is not base64: {exc}") from exc


def _names(case: Case) -> list[str]:
    names: list[str] = []

    def note(name: str, kinds: dict[str, str]) -> str:
        names.append(name)
        return name

    if has_files(case):
        renamed(case, note)
    return names


def renamed(case: Case, rename: Callable[[str, dict[str, str]], str]) -> Case:
    """The case with every file that it names under another name."""
    change: dict[str, Any] = {"images": tuple(rename(name, PICTURES) for name in case.images)}
    change["documents"] = tuple(
        document if isinstance(document, Document | PagedDocument) else rename(document, PAGES)
        for document in case.documents
    )
    for field in ("steps", "history"):
        if steps := getattr(case, field, ()):
            change[field] = tuple(
                step.model_copy(update={"screenshot": rename(step.screenshot, PICTURES)}) if step.screenshot else step
                for step in steps
            )
    return case.model_copy(update=change)
