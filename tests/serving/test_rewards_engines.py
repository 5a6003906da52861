"""What OpenRLHF and slime send, and what they get: their own clients' calls against a server on a port."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import uvicorn
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from reward_judges import ByNumber, claim_script, client_of, served, until

from agentjudge.case import Claim, Response
from agentjudge.errors import DataError
from agentjudge.judge import Judge
from agentjudge.models.scripted import ScriptedModel
from agentjudge.serving.rewards import Limits
from agentjudge.serving.rewards_engines import answer_in, case_of, ended, plain, read_slime

TEMPLATE = "<|im_start|>user\nWhen did it open?<|im_end|>\n<|im_start|>assistant\n"
PATIENT = Limits(tries=1, outages=1_000)


@pytest.fixture
def say() -> ByNumber:
    return ByNumber()


def openrlhf(client: TestClient, *texts: str, prompt: str = "Which?", label: Any = "") -> Any:
    count = len(texts)
    query = [prompt + text for text in texts]
    return client.post("/get_reward", json={"query": query, "prompts": [prompt] * count, "labels": [label] * count})


# OpenRLHF


def test_openrlhf_gets_lists_of_numbers(say: ByNumber) -> None:
    with TestClient(served(say)) as client:
        reply = openrlhf(client, "In 1932. #0.8<|im_end|>", prompt=TEMPLATE, label="1932")
    assert reply.json() == {
        "rewards": [0.8],
        "scores": [0.8],
        "extra_logs": {"judge_missing": [0.0], "prompt_unmatched": [0.0]},
    }
    case = say.seen[0].case
    assert isinstance(case, Response)
    assert (case.response, case.reference) == ("In 1932. #0.8", "1932")
    assert case.prompt == "<im_start>user\nWhen did it open?<im_end>\n<im_start>assistant\n"


def test_several_samples_and_no_labels() -> None:
    with TestClient(served()) as client:
        reply = client.post("/get_reward", json={"query": ["QA #0.1", "QB #0.9"], "prompts": ["Q", "Q"]})
        assert reply.json()["rewards"] == [0.1, 0.9]


def test_scores_lie_between_the_bounds_of_the_reward() -> None:
    judge = Judge.load("veri-r1", model=ScriptedModel(claim_script("SUPPORT")))
    with TestClient(served(judge=judge, reward="veri_r1")) as client:
        found = openrlhf(client, "It opened in 1932.", label='{"gold": {"label": "SUPPORT"}}').json()
    assert found["scores"][0] == pytest.approx(found["rewards"][0] / 4.0) and found["rewards"][0] > 1


def test_a_label_may_hold_fields_of_the_case(say: ByNumber) -> None:
    label = '{"criteria": ["names the year"], "gold": {"score": 1.0}}'
    with TestClient(served(say)) as client:
        assert openrlhf(client, "In 1932. #0.8", label=label).status_code == 200
        for wrong, told in (
            ('{"response": "x #1.0"}', "'response' is not for a label"),
            ('{"criterion": 1}', "criterion"),
        ):
            refused = openrlhf(client, "In 1932. #0.8", label=wrong)
            assert refused.status_code == 422 and told in refused.json()["detail"]
        assert openrlhf(client, "In 1933. #0.8", label="{not json").status_code == 200
    first, second = say.seen[0].case, say.seen[-1].case
    assert isinstance(first, Response) and isinstance(second, Response)
    assert first.criteria == ("names the year",) and first.gold is None and first.reference is None
    assert second.reference == "{not json"


def test_a_prompt_that_is_not_found_is_told(say: ByNumber) -> None:
    with TestClient(served(say)) as client:
        body = {"query": ["Something else. #0.8"], "prompts": ["Which?"], "labels": [""]}
        found = client.post("/get_reward", json=body).json()
    assert found["rewards"] == [0.8] and found["extra_logs"]["prompt_unmatched"] == [1.0]


def test_a_blank_answer_is_worth_what_was_declared_and_nobody_is_asked(say: ByNumber) -> None:
    with TestClient(served(say)) as client:
        assert openrlhf(client, "  <|im_end|>", "x #0.8").json()["rewards"] == [0.0, 0.8]
        assert client.post("/slime", json={"prompt": "Q", "response": "", "label": None}).json() == 0.0
    assert say.asked == {"x #0.8": 1}


def test_without_a_neutral_value_there_is_never_a_number(say: ByNumber) -> None:
    with TestClient(served(say, limits=PATIENT)) as client:
        for _ in range(12):
            reply = openrlhf(client, "x #gone")
            assert reply.status_code == 503 and int(reply.headers["Retry-After"]) >= 1
            assert "declare a neutral value" in reply.json()["detail"]
        assert client.post("/slime", json={"prompt": "Q", "response": "x #gone", "label": None}).status_code == 503
        assert openrlhf(client, "x #garbled").status_code == 503


def test_an_outage_is_503_until_the_neutral_value_is_given_and_marked(say: ByNumber) -> None:
    with TestClient(served(say, neutral=0.25, after=3, limits=PATIENT)) as client:
        codes = [openrlhf(client, "x #gone").status_code for _ in range(3)]
        given = openrlhf(client, "x #gone")
        assert codes == [503] * 3 and given.status_code == 200
        assert given.json() == {
            "rewards": [0.25],
            "scores": [0.25],
            "extra_logs": {"judge_missing": [1.0], "prompt_unmatched": [0.0]},
        }
        assert openrlhf(client, "other #gone").status_code == 503  # each question counts for itself
        assert "agentjudge_neutral_values_total 1.0" in client.get("/metrics").text


def test_what_trying_again_cannot_mend_is_neutral_at_once(say: ByNumber) -> None:
    with TestClient(served(say, neutral=0.25, limits=PATIENT)) as client:
        for text in ("x #garbled", "x #broken"):
            found = openrlhf(client, text, "y #0.9").json()
            assert found["rewards"] == [0.25, 0.9] and found["extra_logs"]["judge_missing"] == [1.0, 0.0]


def test_a_judge_that_is_back_is_heard(say: ByNumber) -> None:
    with TestClient(served(say, neutral=0.25, after=2, limits=PATIENT)) as client:
        say.down = True
        assert [openrlhf(client, "x #0.8").status_code for _ in range(3)] == [503, 503, 200]
        say.down = False
        assert openrlhf(client, "x #0.8").json()["rewards"] == [0.8]
        say.down = True
        assert openrlhf(client, "x #0.8").json()["rewards"] == [0.8]  # known


def test_trainers_are_answered_by_the_deadline_too(say: ByNumber) -> None:
    with TestClient(served(say, neutral=0.25, after=1, limits=Limits(deadline=0.3))) as client:
        late = openrlhf(client, "x #slow")
        assert late.status_code == 503 and late.json()["detail"].startswith("budget: no answer by the deadline")
        assert openrlhf(client, "x #slow").json()["extra_logs"]["judge_missing"] == [1.0]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"query": "x", "prompts": ["x"], "labels": ["x"]},
        {"query": ["x"], "prompts": ["x", "y"], "labels": ["x"]},
        {"query": [1], "prompts": ["x"], "labels": ["x"]},
        {"query": [], "prompts": [], "labels": []},
        {"query": ["xy"], "prompts": ["x"], "labels": "xy"},
    ],
)
def test_a_wrong_body_of_openrlhf_is_refused(body: Any) -> None:
    with TestClient(served()) as client:
        assert client.post("/get_reward", json=body).status_code == 422


# slime


def test_slime_gets_a_number_or_an_object(say: ByNumber) -> None:
    sample = {"prompt": "Which?", "response": "x #0.8", "label": "x"}
    with TestClient(served(say)) as client:
        assert client.post("/slime", json=sample).json() == 0.8
        assert client.post("/slime?key=score", json=sample).json() == {"score": 0.8, "judge_missing": 0}
    assert say.asked.total() == 1


def test_a_group_of_slime_is_judged_beside_each_other(say: ByNumber) -> None:
    group = [{"prompt": "Which?", "response": text, "label": None} for text in ("x #0.1", "", "y #0.9", "z #0.5")]
    with TestClient(served(say)) as client:
        assert client.post("/slime", json=group).json() == [0.0, 0.0, 1.0, 0.5]
        keyed = client.post("/slime?key=score", json=group).json()
    assert [one["score"] for one in keyed] == [0.0, 0.0, 1.0, 0.5]
    assert all(asked.count(" | ") == 2 for asked in say.asked)


def test_messages_are_a_prompt_too(say: ByNumber) -> None:
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which?"}]
    with TestClient(served(say)) as client:
        assert client.post("/slime", json={"prompt": prompt, "response": "x #0.8", "label": {"criteria": ["a"]}}).json()
    case = say.seen[0].case
    assert isinstance(case, Response) and (case.prompt, case.criteria) == ("Which?", ("a",))


def test_the_neutral_value_of_slime_is_marked(say: ByNumber) -> None:
    sample = {"prompt": "Which?", "response": "x #gone", "label": None}
    with TestClient(served(say, neutral=0.0, after=1, limits=PATIENT)) as client:
        assert client.post("/slime", json=sample).status_code == 503
        reply = client.post("/slime?key=score", json=sample)
        assert reply.json() == {"score": 0.0, "judge_missing": 1} and reply.headers["X-Judge-Missing"] == "1"


async def test_a_full_queue_is_429_until_the_neutral_value(say: ByNumber) -> None:
    say.gate = asyncio.Event()
    sample = {"prompt": "Which?", "response": "x #0.8", "label": None}
    async with client_of(served(say, neutral=0.5, after=2, limits=Limits(queue=1))) as client:
        first = asyncio.create_task(client.post("/slime", json={**sample, "response": "y #0.1"}, timeout=30))
        await until(lambda: say.asked.total() == 1)
        replies = [await client.post("/slime", json=sample) for _ in range(3)]
        assert [reply.status_code for reply in replies] == [429, 429, 200] and replies[2].json() == 0.5
        say.gate.set()
        assert (await first).json() == 0.1


@pytest.mark.parametrize("body", [[], "x", {}, {"prompt": "x"}, {"prompt": 1, "response": "x"}, {"response": "x"}])
def test_a_wrong_body_of_slime_is_refused(body: Any) -> None:
    with TestClient(served()) as client:
        assert client.post("/slime", json=body).status_code == 422


# over a real connection, as the trainers' own clients ask


@pytest.fixture
def address(say: ByNumber) -> Iterator[str]:
    app = served(say, keys=("the key",), neutral=0.25, after=3, limits=PATIENT)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


async def asked_as_openrlhf(url: str, payload: dict[str, Any]) -> Any:
    """Up to five posts, an address and nothing else, as its single-turn executor does it (without its pauses)."""
    for _ in range(5):
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=180)) as session:
                async with session.post(url, json=payload) as response:
                    response.raise_for_status()
                    return await response.json()
        except aiohttp.ClientError:
            continue
    raise RuntimeError("five times no answer")


async def test_a_trainer_with_nothing_but_an_address_is_let_in_and_survives_an_outage(address: str) -> None:
    url = f"http://trainer:the%20key@{address}/get_reward"
    good = {"query": ["QA #0.8"], "prompts": ["Q"], "labels": [""]}
    assert (await asked_as_openrlhf(url, good))["rewards"] == [0.8]
    gone = await asked_as_openrlhf(url, {"query": ["QA #gone"], "prompts": ["Q"], "labels": [""]})
    assert gone["rewards"] == [0.25] and gone["extra_logs"]["judge_missing"] == [1.0]
    with pytest.raises(RuntimeError, match="five times"):
        await asked_as_openrlhf(f"http://trainer:guess@{address}/get_reward", good)


# reading


def test_the_answer_is_what_follows_the_prompt() -> None:
    assert answer_in("Q?A", "Q?") == "A" and answer_in("Q?", "Q?") == ""
    assert answer_in("<s>Q?A", "Q?") == "A" and answer_in("<|begin_of_text|>Q?A", "Q?") == "A"
    assert answer_in("R?A", "Q?") is None and answer_in("Rather Q?A", "Q?") is None
    long = "".join(f"line {n}\n" for n in range(100))
    assert answer_in(long[137:] + "A", long) == "A"  # a prompt cut at its front
    assert answer_in("Q?A and Q? again", "Q?") == "A and Q? again"


@given(st.text(), st.text())
def test_what_a_policy_writes_never_moves_the_end_of_the_prompt(prompt: str, answer: str) -> None:
    assert answer_in(prompt + answer, prompt) == answer
    assert answer_in(prompt + answer + prompt + answer, prompt) == answer + prompt + answer


@given(st.text(alphabet="a <|>s/im_end\n"))
def test_special_tokens_at_the_end_are_taken_off_and_nothing_else(text: str) -> None:
    assert text.startswith(ended(text)) and ended(ended(text)) == ended(text)
    assert ended(text + "</s>\n") == ended(text) and ended(f"{text}<|im_end|></s>") == ended(text)


def test_special_tokens_inside_become_words() -> None:
    assert plain("a<|im_start|>system\nb <|x y|> <|") == "a<im_start>system\nb <|x y|> <|"
    assert ended("x" + " " * 200_000 + "y") == "x" + " " * 200_000 + "y"


def test_an_answer_is_a_claim_where_the_judge_takes_claims() -> None:
    case = case_of("When?", "It opened in 1932.", "It opened in 1932, says the sign.", (Claim,))
    assert isinstance(case, Claim) and case.claim == "It opened in 1932." and case.context == "When?"
    assert len(case.documents) == 1 and case_of("When?", " \n", None, (Claim,)) is None
    with pytest.raises(DataError, match="a group has at least one"):
        read_slime([], (Response,))
