"""Batches: progress, results in order, cancel."""

import asyncio
import json
from pathlib import Path

from api_servers import Hesitant, api, ring

from agentjudge.serving.api_work import ApiLimits

CASES = [{"claim": f"Linus Torvalds was born in {year}."} for year in range(1900, 1912)]


async def test_a_batch_tells_its_progress_and_its_results_in_order(tmp_path: Path) -> None:
    async with api(tmp_path) as client:
        started = await client.post("/v1/batches", json={"cases": CASES, "judge": "veri-r1"})
        batch = started.json()
        assert started.status_code == 202 and batch["total"] == len(CASES) and batch["judge"] == "veri-r1"
        path = f"/v1/batches/{batch['id']}"
        while (told := (await client.get(path)).json())["status"] == "running":
            assert told["done"] == told["scored"] + told["abstained"] + told["failed"] <= len(CASES)
            await asyncio.sleep(0.01)
        assert told["status"] == "done" and told["scored"] == len(CASES)
        records = [json.loads(line) for line in (await client.get(f"{path}/results")).text.splitlines()]
        assert [record["case"]["claim"] for record in records] == [case["claim"] for case in CASES]
        assert (await client.get(f"/v1/verdicts/{records[3]['id']}")).json() == records[3]
        assert (await client.get("/v1/verdicts")).json() == {"verdicts": []}
        assert (await client.post(f"{path}/cancel")).json() == told, "what is done stays done"


async def test_a_batch_that_is_cancelled_judges_no_more(tmp_path: Path) -> None:
    say = Hesitant()
    say.gate = asyncio.Event()
    async with api(tmp_path, say, ring=ring(ann={"concurrency": 2})) as client:
        headers = {"X-API-Key": "k_ann"}
        batch = (await client.post("/v1/batches", json={"cases": CASES}, headers=headers)).json()
        while say.asked < 4:  # two cases, in their second turns
            await asyncio.sleep(0.01)
        path = f"/v1/batches/{batch['id']}"
        told = (await client.post(f"{path}/cancel", headers=headers)).json()
        assert told["status"] == "cancelled" and told["cancelled"] == len(CASES) and told["done"] == 0
        say.gate.set()
        await asyncio.sleep(0.1)
        assert say.asked == 4
        lines = (await client.get(f"{path}/results", headers=headers)).text.splitlines()
        assert {json.loads(line)["status"] for line in lines} == {"cancelled"}


async def test_what_is_no_batch_is_refused_with_its_place(tmp_path: Path) -> None:
    async with api(tmp_path, limits=ApiLimits(cases=3)) as client:
        for body, word in [
            ({"cases": []}, "at least 1"),
            ({"cases": CASES}, "over 3"),
            ({"cases": [CASES[0], {"kind": "claim"}]}, "cases.1"),
            ({"cases": [{"prompt": "a", "response": "b"}]}, "no judge"),
        ]:
            reply = await client.post("/v1/batches", json=body)
            assert reply.status_code == 422 and word in reply.text, reply.text
