"""The OpenAPI: complete, and whatever is made from it, no answer is a 500."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from api_servers import Hesitant, api, process
from hypothesis import HealthCheck, Phase, Verbosity, settings

SECONDS = float(os.environ.get("AGENTJUDGE_FUZZ_SECONDS", "30"))
"""Of asking, over all routes; `make fuzz` takes ten minutes."""


async def test_every_route_is_described_with_its_statuses_and_examples(tmp_path: Path) -> None:
    async with api(tmp_path, Hesitant(), judges=()) as client:
        schema = (await client.get("/openapi.json")).json()
        routes = {
            (method.upper(), route.path)
            for route in client.app.app.routes
            for method in getattr(route, "methods", ())
            if getattr(route, "include_in_schema", False) and method != "HEAD"
        }
        described = {(method.upper(), path) for path, item in schema["paths"].items() for method in item}
        assert routes == described and len(described) > 20
        for path, item in schema["paths"].items():
            for method, route in item.items():
                if path.endswith("retrieve"):
                    continue
                assert {"401", "404", "429"} <= set(route["responses"]), (method, path)
                for media in route.get("requestBody", {}).get("content", {}).values():
                    assert "examples" in media or "multipart" in str(route["requestBody"]["content"])
        names = _refs(schema)
        assert names <= set(schema["components"]["schemas"]), names - set(schema["components"]["schemas"])
        example = schema["paths"]["/v1/verdicts"]["post"]["requestBody"]["content"]["application/json"]["examples"]
        for each in example.values():
            reply = await client.post("/v1/verdicts", json={**each["value"]})
            assert reply.status_code == 200, reply.text


def _refs(value: Any) -> set[str]:
    if isinstance(value, dict):
        found = {value["$ref"].rsplit("/", 1)[-1]} if isinstance(value.get("$ref"), str) else set()
        return found.union(*map(_refs, value.values()))
    return set().union(*map(_refs, value)) if isinstance(value, list) else set()


def test_whatever_is_asked_no_answer_is_a_server_error(tmp_path: Path) -> None:
    """Bodies, paths, queries and headers, valid and not, for a bounded time over all routes."""
    script = tmp_path / "script.jsonl"
    script.write_text(
        '["{\\"reason\\": \\"So.\\", \\"evidence\\": [], \\"label\\": \\"SUPPORT\\", \\"confidence\\": 0.9}"]\n'
    )
    (tmp_path / "a.txt").write_text("Mont Blanc is 4806 m high.")
    options = ["--model", f"scripted:{script}", "--corpus", f"a={tmp_path / 'a.txt'}", "--quiet", "--rewards"]
    with process(*options, "--store", str(tmp_path / "store"), life=900 + 2 * SECONDS) as server:
        schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        ids = _some_ids(server.url)
        operations = [result.ok() for result in schema.get_all_operations()]
        each, asked = SECONDS / len(operations), 0
        for operation in operations:
            count, worst = _ask(operation, ids, seconds=each)
            assert not worst, worst[0]
            asked += count
        print(f"{asked} requests over {len(operations)} operations")
        assert asked >= len(operations)
        assert httpx.get(f"{server.url}/health").status_code == 200
        assert server.end() == 0


def _ask(operation: Any, ids: dict[str, str], *, seconds: float) -> tuple[int, list[Any]]:
    """Ask for an operation for some seconds; how often, and the server errors."""
    end, worst, asked = time.monotonic() + seconds, list[Any](), 0

    @settings(
        max_examples=100_000,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
        verbosity=Verbosity.quiet,  # the end of the time is no failure
    )
    @_given(operation)
    def ask(case: Any) -> None:
        nonlocal asked
        if time.monotonic() > end:
            raise Over
        if "id" in (case.path_parameters or {}) and asked % 2:
            kind = operation.path.split("/")[2]
            case.path_parameters = {**case.path_parameters, "id": ids.get(kind, "x")}
        asked += 1
        try:
            reply = case.call(timeout=60)
        except (ValueError, UnicodeError):
            return  # what no client can send
        if reply.status_code >= 500 and reply.status_code != 503:
            worst.append((case.method, operation.path, reply.status_code, reply.text[:300]))

    with suppress(Over):
        ask()
    return asked, worst


class Over(BaseException):
    """The time is over; no exception of a test, or its example would be looked at for long."""


def _given(operation: Any) -> Any:
    from hypothesis import given

    strategy = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
    strategy |= operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
    return given(case=strategy)


def _some_ids(url: str) -> dict[str, str]:
    claim = {"case": {"claim": "Mont Blanc is high."}}
    session = httpx.post(f"{url}/v1/sessions", json=claim, timeout=60).json()
    batch = httpx.post(f"{url}/v1/batches", json={"cases": [claim["case"]]}, timeout=60).json()
    return {"verdicts": session["id"], "sessions": session["session"], "batches": batch["id"]}
