"""A scripted server with an OpenAI-shaped API, for tests and benchmarks.

In a thread, with replies made by a function of the request's body:

    with ChatServer(lambda body: "Paris") as server:
        model = load_model(f"vllm:any@{server.url}")

In a process of its own, so that a client's CPU time is the client's alone, or to be killed:

    python -m tests.servers --port 0 --latency-ms 50 --faults 0.2      # prints its port

By default it plays the model's part: it calls the first tool offered a few times, then answers under the schema asked
for. A share of the requests meets a fault: faults of the wire (429 with Retry-After, 500, reset, stall, truncated body,
garbage JSON) and faults of the model (a tool that does not exist, arguments of wrong types, an oversize answer, an
empty one). Which request meets which fault depends on the seed, the body and how often that body has come, so it does
not depend on the order of arrival.
"""

import argparse
import asyncio
import hashlib
import json
import logging
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

from aiohttp import web

Body = dict[str, Any]
Reply = str | dict[str, Any] | web.StreamResponse
"""Content of the assistant's message, the message itself, or a whole response."""
Answer = Callable[[Body], Reply | Awaitable[Reply]]
WireFault = Literal["429", "500", "reset", "stall", "truncated", "garbage"]
ModelFault = Literal["wrong_tool", "wrong_args", "oversize", "empty"]
Fault = WireFault | ModelFault
FAULTS: tuple[Fault, ...] = (*get_args(WireFault), *get_args(ModelFault))
GARBAGE = (b"<html>busy</html>", b"", b'{"choices": []}', b'{"choices": [{"message": null}]}', b"[1, 2", b"null")
OVERSIZE = 200_000
"""Characters of an oversize answer."""


def call(name: str, arguments: Any, *, call_id: str = "call_0") -> dict[str, Any]:
    """An assistant message that calls one tool; `arguments` that are no string are written as JSON."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    function = {"name": name, "arguments": text}
    return {"content": None, "tool_calls": [{"id": call_id, "type": "function", "function": function}]}


def instance(schema: dict[str, Any]) -> Any:
    """A value that satisfies a plain JSON schema."""
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][-1]
    if "anyOf" in schema:
        return instance(schema["anyOf"][0])
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: instance(part) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance(schema.get("items", {})) for _ in range(schema.get("minItems", 0))]
    return {"string": "text", "number": 0.5, "integer": 1, "boolean": True, "null": None}[kind]


def play(body: Body, *, calls: int = 3) -> Reply:
    """The part of a model: so many calls of the first tool, then an answer under the schema, if one is asked for."""
    said = sum(message["role"] == "assistant" for message in body["messages"])
    if "response_format" in body:
        return json.dumps(instance(body["response_format"]["json_schema"]["schema"]))
    if body.get("tools") and body.get("tool_choice") == "auto" and said < calls:
        function = body["tools"][0]["function"]
        return call(function["name"], instance(function["parameters"]), call_id=f"call_{said}")
    return "Enough."


def completion(message: str | dict[str, Any], body: Body) -> dict[str, Any]:
    """A whole reply in vLLM's shape around an assistant message; one token a word, at least one."""
    said = {"content": message} if isinstance(message, str) else message
    tokens = list(range(100, 101 + str(said.get("content") or "").count(" ")))
    prompt = list(range(1 + sum(len(str(m.get("content") or "").split()) for m in body["messages"])))
    likeliest = [{"token": "t" if n == 0 else f"t{n}", "logprob": -2.0 * n or -0.25} for n in range(10)]
    likeliest = likeliest[: body.get("top_logprobs") or 0]
    entries = [{"token": "t", "logprob": -0.25, "bytes": None, "top_logprobs": likeliest} for _ in tokens]
    ids = bool(body.get("return_token_ids"))
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", **said},
        "finish_reason": "tool_calls" if said.get("tool_calls") else "stop",
        "logprobs": {"content": entries} if body.get("logprobs") else None,
    }
    reply = {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model", ""),
        "choices": [choice | ({"token_ids": tokens} if ids else {})],
        "usage": {
            "prompt_tokens": len(prompt),
            "completion_tokens": len(tokens),
            "total_tokens": len(prompt) + len(tokens),
            "prompt_tokens_details": {"cached_tokens": len(prompt) // 2},
        },
    }
    return reply | ({"prompt_token_ids": prompt} if ids else {})


@dataclass
class Faults:
    """Which requests go wrong, and how."""

    rate: float = 0.2
    """Share of requests that meet a fault."""
    kinds: tuple[Fault, ...] = FAULTS
    seed: int = 0
    stall: float = 30.0
    """Seconds that a stalled request hangs without a byte."""
    retry_after: float = 0.05
    """Seconds that a 429 asks for."""
    _seen: Counter[bytes] = field(default_factory=Counter)

    def draw(self, body: bytes) -> tuple[Fault | None, random.Random]:
        """The fault of this request, and a generator of its own."""
        digest = hashlib.blake2b(body, digest_size=12).digest()
        self._seen[digest] += 1
        chance = random.Random(f"{self.seed}:{digest.hex()}:{self._seen[digest]}")
        return (chance.choice(self.kinds) if chance.random() < self.rate else None), chance


class ChatServer:
    """The server, in a thread of its own while its context is open.

    Args:
        answer: makes the assistant's message of a request's body; may be a coroutine function.
        latency: seconds before each answer.
        faults: what goes wrong; nothing when None.
        models: names that `/v1/models` lists.
        keep: remember the bodies of the requests in `bodies`.
        port: 0 takes a free one.
    """

    def __init__(
        self,
        answer: Answer = play,
        *,
        latency: float = 0.0,
        faults: Faults | None = None,
        models: tuple[str, ...] = ("scripted",),
        keep: bool = True,
        port: int = 0,
    ) -> None:
        self.answer, self.latency, self.faults, self.models, self.keep = answer, latency, faults, models, keep
        self.port = port
        self.bodies: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        """When each chat request came, in seconds of the loop's clock."""
        self.hits = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.met: Counter[str] = Counter()
        """How many requests met each fault."""
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def app(self) -> web.Application:
        app = web.Application(client_max_size=256 * 2**20)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._list)
        return app

    async def _list(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self.hits += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.times.append(asyncio.get_running_loop().time())
        try:
            data = await request.read()
            if self.latency:
                await asyncio.sleep(self.latency)
            return await self._reply(request, data)
        finally:
            self.in_flight -= 1

    async def _reply(self, request: web.Request, data: bytes) -> web.StreamResponse:
        body = json.loads(data)
        if self.keep:
            self.bodies.append(body)
            self.headers.append(dict(request.headers))
        fault, chance = self.faults.draw(data) if self.faults else (None, random.Random(0))
        if fault is not None:
            self.met[fault] += 1
        if fault in ("429", "500", "reset", "stall", "garbage"):
            assert self.faults is not None
            return await fail(request, fault, self.faults, chance)
        found = self.answer(body)
        reply = await found if isinstance(found, Awaitable) else found
        if isinstance(reply, web.StreamResponse):
            return reply
        whole = json.dumps(completion(distort(reply, fault, body), body)).encode()
        if fault == "truncated":
            return await truncate(request, whole)
        return web.Response(body=whole, content_type="application/json")

    async def _serve(self, ready: Callable[[], None]) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, backlog=2048).start()
        self.port = runner.addresses[0][1]
        ready()
        await self._over.wait()
        await runner.cleanup()

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready.set)), daemon=True)
        self._thread.start()
        assert ready.wait(20), "the server did not start"
        return self

    def close(self) -> None:
        """Stop serving and break off what is in flight."""
        if self._thread is not None and self._loop is not None and self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()
        self._thread = None

    def __exit__(self, *_: object) -> None:
        self.close()


async def fail(request: web.Request, fault: Fault, faults: Faults, chance: random.Random) -> web.StreamResponse:
    """The response of a request that meets a fault of the wire."""
    if fault == "429":
        error = {"error": {"message": "rate limit reached", "code": 429}}
        return web.json_response(error, status=429, headers={"Retry-After": f"{faults.retry_after:g}"})
    if fault == "500":
        return web.json_response({"error": {"message": "internal server error"}}, status=500)
    if fault == "garbage":
        return web.Response(body=chance.choice(GARBAGE), content_type="application/json")
    if fault == "stall":
        await asyncio.sleep(faults.stall)
        return web.Response(status=503)
    return reset(request)


def reset(request: web.Request) -> web.StreamResponse:
    """Break the connection off with a TCP reset."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


async def truncate(request: web.Request, whole: bytes) -> web.StreamResponse:
    """Announce the whole body, send half of it, hang up."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(whole))})
    await response.prepare(request)
    await response.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def distort(reply: str | dict[str, Any], fault: Fault | None, body: Body) -> str | dict[str, Any]:
    """The message as a model that errs would have written it."""
    if fault == "empty":
        return {"content": ""}
    if fault == "oversize":
        return "rambling-on-and-on-and-on-without-an-end " * (OVERSIZE // 41)
    if fault in ("wrong_tool", "wrong_args"):
        tools = body.get("tools") or [{"function": {"name": "nothing"}}]
        name = tools[0]["function"]["name"]
        if fault == "wrong_tool":
            return call(f"{name}_the_moon", {"query": "x"})
        number = len(body["messages"])
        arguments = ('{"query": 7}', "[1, 2]", '{"query"', "null", '"text"', '{"query": {"a": [1]}, "b": 2}')
        return call(name, arguments[number % len(arguments)])
    return reply


class ServerProcess:
    """`ChatServer` with its defaults in a process of its own while the context is open.

    Args:
        options: command-line options, such as `"--latency-ms", "50"`.
    """

    def __init__(self, *options: str) -> None:
        self.options = options

    def __enter__(self) -> Self:
        root = Path(__file__).resolve().parents[1]
        command = [sys.executable, "-m", "tests.servers", *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        return self

    def kill(self) -> None:
        """SIGKILL, as when a machine dies."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=20)

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description="A scripted server with an OpenAI-shaped API.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--calls", type=int, default=3, help="tool calls before the answer")
    parser.add_argument("--faults", type=float, default=0.0, help="share of requests that meet a fault")
    parser.add_argument("--fault-kinds", default=",".join(FAULTS))
    parser.add_argument("--stall-seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # clients that hang up are no news here
    faults = None
    if options.faults:
        kinds = tuple(kind for kind in FAULTS if kind in options.fault_kinds.split(","))
        faults = Faults(options.faults, kinds, options.seed, options.stall_seconds)
    server = ChatServer(
        lambda body: play(body, calls=options.calls),
        latency=options.latency_ms / 1000,
        faults=faults,
        keep=False,
        port=options.port,
    )
    asyncio.run(server._serve(lambda: print(server.port, flush=True)))


if __name__ == "__main__":
    main()
