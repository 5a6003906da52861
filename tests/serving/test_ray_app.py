"""The API on Ray Serve: what cannot be shared is refused, and a replica that dies goes on with what was kept."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentjudge.errors import ConfigError
from agentjudge.serving.api_service import ApiService

pytest.importorskip("ray.serve", reason="pip install 'agentjudge[ray]'")
from ray_clusters import PATIENCE, cluster  # noqa: E402

from agentjudge.serving.ray_app import NAME, app, application, check_shared  # noqa: E402
from agentjudge.serving.rewards_service import RetrieveService  # noqa: E402

YES = json.dumps({"reason": "So.", "evidence": [], "label": "SUPPORT", "confidence": 0.5})
SECONDS = 300.0


def test_what_replicas_cannot_share_is_refused(tmp_path: Path) -> None:
    whole = ApiService(store=tmp_path)
    check_shared(whole, 1)
    with pytest.raises(ConfigError, match="2 replicas cannot serve verdicts: sessions, batches and files"):
        check_shared(whole, 2)
    with pytest.raises(ConfigError, match="give --store FOLDER"):
        check_shared(ApiService(), 1)
    with pytest.raises(ConfigError, match="name the store from the root"):
        check_shared(ApiService(store=Path("served")), 1)
    check_shared(RetrieveService(("docs",), "bm25"), 8)


def test_options_are_those_of_serve(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no option --modle"):
        app({"modle": "embedded"})
    with pytest.raises(ConfigError, match="is for verdicts, which one process serves"):
        app({"store": str(tmp_path), "workers": "2"})
    with pytest.raises(ConfigError, match="give --store FOLDER"):
        app({"model": "embedded", "judge": "veri-r1,compare"})


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in PATIENCE.items():
        monkeypatch.setenv(name, value)
    with cluster(1, cpus=4) as made:
        yield made


def asked(method: str, url: str, **more: Any) -> dict[str, Any]:
    """The answer, once there is a replica that gives one."""
    over = time.monotonic() + SECONDS
    while True:
        try:
            reply = httpx.request(method, url, timeout=60, **more)
            if reply.status_code < 500:
                assert reply.status_code < 300, reply.text
                found: dict[str, Any] = reply.json()
                return found
        except httpx.HTTPError:
            pass
        assert time.monotonic() < over, "no replica answers"
        time.sleep(1.0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_replica_that_is_killed_goes_on_with_its_sessions(nodes: Any, tmp_path: Path) -> None:
    from ray import serve

    (tmp_path / "script.jsonl").write_text(json.dumps([YES, YES, YES]))
    service = ApiService(
        judges=("veri-r1",), model=f"scripted:{tmp_path / 'script.jsonl'}", store=tmp_path / "store", quiet=True
    )
    serve.start(http_options={"host": "127.0.0.1", "port": 18010})
    serve.run(application(service), name=NAME, route_prefix="/")
    url = "http://127.0.0.1:18010"
    try:
        case = {"kind": "claim", "id": "c", "claim": "It opened in 1932."}
        session = asked("POST", f"{url}/v1/sessions", json={"case": case})["session"]
        before = asked("GET", f"{url}/v1/sessions/{session}")
        assert before["verdicts"][0]["status"] == "scored"

        lock = (tmp_path / "store" / ".lock").stat().st_ino
        holder = next(
            int(line.split()[4]) for line in Path("/proc/locks").read_text().splitlines() if f":{lock} " in line
        )
        os.kill(holder, signal.SIGKILL)
        assert asked("GET", f"{url}/v1/sessions/{session}")["verdicts"] == before["verdicts"]
        again = asked("POST", f"{url}/v1/sessions/{session}/challenge", json={"words": "Look again."})
        assert again["status"] == "scored" and again["session"] == session
    finally:
        serve.shutdown()
