"""Bodies of requests: JSON or multipart, read within limits, and made into what is asked for.

    body = await Body.read(request, limits)               # fields, and files by name
    asked = body.fields_of(VerdictBody)
    case = case_of(body, asked, files) if body.plain else await asyncio.to_thread(case_of, body, asked, files)

The message of an error names the field, never its content.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agentjudge.case import Case, Document, NonBlank, parse_case
from agentjudge.errors import DataError
from agentjudge.serving.api_files import DOCUMENTS, OwnerFiles
from agentjudge.serving.api_sessions import Evidence
from agentjudge.serving.api_work import ApiLimits
from agentjudge.serving.rewards_files import PICTURES, decoded
from agentjudge.serving.rewards_http import Refused

M = TypeVar("M", bound="_Fields")
MOST_FIELDS = 1_000
"""Of a multipart body."""
SHORT = 64_000
"""Bytes of a body that is read at once."""


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _json(cls, value: Any, info: Any) -> Any:
        """What is an object or a list may come as a JSON text, as it does in multipart."""
        if isinstance(value, str) and info.field_name in ("case", "cases", "texts"):
            try:
                return orjson.loads(value)
            except orjson.JSONDecodeError as exc:
                raise ValueError(f"not JSON: {exc.msg}") from exc
        return value


class StreamBody(_Fields):
    """Body of `ask` and `resume`."""

    stream: bool = False
    """Answer with server-sent events."""


class VerdictBody(StreamBody):
    """Body of POST /v1/verdicts and /v1/sessions."""

    case: dict[str, Any] | None = None
    claim: NonBlank | None = None
    """In place of a case: a claim alone."""
    judge: str | None = None
    corpus: str | None = None
    deadline: float | None = Field(default=None, gt=0, le=86_400)
    """Seconds."""


class ChallengeBody(StreamBody):
    """Body of a challenge."""

    words: NonBlank = Field(max_length=20_000)


class EvidenceBody(_Fields):
    """Body of evidence."""

    texts: tuple[Document, ...] = ()
    text: tuple[NonBlank, ...] = ()
    """Texts without ids."""
    images: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()


class BatchBody(_Fields):
    """Body of POST /v1/batches."""

    cases: list[dict[str, Any]] = Field(min_length=1)
    judge: str | None = None
    corpus: str | None = None


class Sent(NamedTuple):
    """A file of a multipart body."""

    name: str
    data: bytes


@dataclass(slots=True)
class Body:
    """What came with a request."""

    fields: dict[str, Any] = field(default_factory=dict)
    files: dict[str, list[Sent]] = field(default_factory=dict)
    plain: bool = False
    """Short and without a file: not worth a thread."""

    @classmethod
    async def read(cls, request: Any, limits: ApiLimits, *, many: Sequence[str] = ()) -> Self:
        """The body of a request.

        Args:
            request: of Starlette.
            limits: of the server.
            many: fields that multipart may have several times.

        Raises:
            Refused: another type of body, or it did not come in time.
            DataError: not JSON, or not an object.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            async with asyncio.timeout(limits.upload_seconds):
                if kind == "multipart/form-data":
                    return await cls._multipart(request, limits, many)
                data = await request.body()
        except TimeoutError:
            raise Refused(408, "the body did not come in time") from None
        if not data:
            return cls()
        if kind != "application/json":
            raise Refused(415, "send application/json or multipart/form-data")
        try:
            found = orjson.loads(data)
        except orjson.JSONDecodeError as exc:
            raise Refused(400, f"not JSON: {exc.msg}") from exc
        if not isinstance(found, dict):
            raise DataError("the body must be a JSON object")
        plain = len(data) <= SHORT and b"\\u" not in data and b"data:" not in data.lower()  # escapes may hide a file
        return cls(found, plain=plain)

    @classmethod
    async def _multipart(cls, request: Any, limits: ApiLimits, many: Sequence[str]) -> Self:
        body = cls()
        most = {"max_files": limits.files.files, "max_fields": MOST_FIELDS, "max_part_size": limits.max_body}
        async with request.form(**most) as form:
            for name, value in form.multi_items():
                if not isinstance(value, str):
                    body.files.setdefault(name, []).append(Sent(value.filename or "", await value.read()))
                elif name in many:
                    body.fields.setdefault(name, []).append(value)
                elif name in body.fields:
                    raise DataError(f"{name}: it is there twice")
                else:
                    body.fields[name] = value
        return body

    def fields_of(self, form: type[M], *, files: Sequence[str] = ()) -> M:
        """The fields, checked.

        Args:
            form: their form.
            files: names under which files may come.

        Raises:
            ValidationError: the fields are not of this form.
            DataError: a file under another name.
        """
        if other := sorted(set(self.files) - set(files)):
            raise DataError(f"{other[0]}: no file is expected under this name; there is {', '.join(files) or 'none'}")
        return form.model_validate(self.fields)


def case_of(body: Body, asked: VerdictBody, files: OwnerFiles) -> Case:
    """The case of a request, with its files as uploads; to be called in a thread where it is not plain.

    Raises:
        DataError: it is none, or a file is refused.
    """
    if (asked.case is None) == (asked.claim is None):
        raise DataError("give either 'case' or 'claim'")
    case = read_case(asked.case if asked.case is not None else {"kind": "claim", "claim": asked.claim}, files)
    images = [files.put(sent.data, sent.name, PICTURES) for sent in body.files.get("images", ())]
    documents = [files.put(sent.data, sent.name, DOCUMENTS) for sent in body.files.get("documents", ())]
    if images or documents:
        change = {"images": (*case.images, *images), "documents": (*case.documents, *documents)}
        case = case.model_copy(update=change)
        files.count(case)
    return case


def read_case(data: dict[str, Any], files: OwnerFiles, *, where: str = "case") -> Case:
    """A case in JSON, blind, with its data URIs as uploads.

    Raises:
        DataError: it is none, or a file is refused.
    """
    try:
        return files.admitted(parse_case({"id": f"case-{secrets.token_hex(4)}", **data}, where=where).blind())
    except DataError as exc:
        raise DataError(exc.message if exc.message.startswith(where) else f"{where}: {exc.message}") from exc


def evidence_of(body: Body, asked: EvidenceBody, files: OwnerFiles) -> Evidence:
    """What is added to a case; to be called in a thread.

    Raises:
        DataError: a file is refused.
    """

    def sent(uri: str, kinds: dict[str, str]) -> str:
        data, suffix = decoded(uri, kinds)
        return files.put(data, f"sent{suffix}", kinds)

    texts = tuple(Document(id=f"added-{secrets.token_hex(3)}", text=text) for text in asked.text)
    images = [sent(uri, PICTURES) for uri in asked.images]
    images += [files.put(sent.data, sent.name, PICTURES) for sent in body.files.get("images", ())]
    documents = [sent(uri, DOCUMENTS) for uri in asked.documents]
    documents += [files.put(sent.data, sent.name, DOCUMENTS) for sent in body.files.get("documents", ())]
    return Evidence((*asked.texts, *texts), tuple(images), tuple(documents))


def problems(exc: ValidationError) -> list[dict[str, Any]]:
    """What is wrong and where, without the input."""
    return [{"loc": error["loc"], "msg": error["msg"], "type": error["type"]} for error in exc.errors()]
