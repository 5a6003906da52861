"""A model in this process, through transformers: `hf:PATH`.

    model = load_model("hf:checkpoints/qwen3-0.6b")

For a look at a checkpoint without a server. One turn is generated at a time, in a thread of its own, so the event loop
stays free; a deadline stops the generation at its next token. A JSON schema cannot be enforced here: it stands in the
prompt, and the judge repairs what does not fit. Log-probabilities are the model's own, before temperature and top-p, as
vLLM reports them.
"""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from agentjudge.errors import ConfigError, ModelError, boundary, require
from agentjudge.models.base import Request
from agentjudge.models.profiles import GENERIC, ModelProfile, profile_of
from agentjudge.models.wire import render, summed
from agentjudge.registry import register
from agentjudge.trace import Message, Turn, TurnUsage

TAIL = 24
"""Tokens at the end of the text in which stop strings are looked for."""
_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)


class HFModel:
    """A causal language model with a chat template, on the GPU where there is one.

    Args:
        path: folder that `save_pretrained` wrote, or a hub id where the hub can be reached.
        profile: found by the path, then by the architecture, when None.

    Raises:
        ConfigError: transformers is absent, or there is no such model, or it has no chat template.
    """

    def __init__(self, path: str, *, profile: ModelProfile | None = None) -> None:
        transformers, torch = require("transformers", extra="hf"), require("torch", extra="hf")
        if Path(path).is_dir() and not (Path(path) / "config.json").is_file():
            raise ConfigError(f"no model in {path}: it has no config.json")
        with boundary(ConfigError, f"cannot load the model {path}"):
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(path)
            self._model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype="auto")
        if not self._tokenizer.chat_template:
            raise ConfigError(f"the tokenizer of {path} has no chat template")
        self._model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        self._ends = end_tokens(self._model, self._tokenizer)
        pad = self._tokenizer.pad_token_id
        # Neutral, so that nothing of the checkpoint's generation_config.json slips in behind the request's sampling.
        self._model.generation_config = transformers.GenerationConfig(
            eos_token_id=self._ends, pad_token_id=self._ends[0] if pad is None else pad, top_k=0
        )
        found = profile or family(path, self._model.config.model_type)
        self.profile = found.model_copy(update={"images": False, "image_in_tool": False})
        self.name = f"hf:{path}"
        self._version = Path(path).name
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="agentjudge-hf")

    async def act(self, request: Request) -> Turn:
        """Generate one turn.

        Raises:
            ModelError: too late, longer than the context, a picture, or the model failed.
        """
        over = threading.Event()
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._generate, request, over)
        try:
            async with asyncio.timeout(request.deadline):
                return await future
        except TimeoutError:
            raise ModelError(f"{self.name} gave no answer within {request.deadline:.3g} s", retriable=True) from None
        finally:
            over.set()

    def _generate(self, request: Request, over: threading.Event) -> Turn:
        if over.is_set():
            raise ModelError("given up before its turn came", retriable=True)
        prompt = prompt_ids(self._tokenizer, request, self.profile)
        room = getattr(self._model.config, "max_position_embeddings", None) or 2**31
        if len(prompt) >= room:
            raise ModelError(f"the conversation is longer than the model's context ({len(prompt)} tokens of {room})")
        most = min(request.sampling.max_tokens, room - len(prompt))
        with boundary(ModelError, f"{self.name} failed"):
            drawn = self._sample(prompt, request, most, over)
        ids = drawn.ids
        ended = bool(ids) and ids[-1] in self._ends
        text = self._tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=True)
        if self.profile.protocol == "tags":
            message: Message = {"role": "assistant", "content": text}
        else:
            thinking = self._tokenizer.decode(prompt[-8:]).rstrip().endswith("<think>")
            tools = bool(request.tools) and request.phase == "act"
            message = read_text(text, thinking=thinking, tools=tools)
        finish = "tool_calls" if "tool_calls" in message else "length" if len(ids) == most and not ended else "stop"
        return Turn(
            message_out=message,
            prompt_ids=prompt,
            output_ids=ids,
            logprobs=drawn.logprobs if request.sampling.logprobs else None,
            tokens=self._texts(ids) if drawn.likeliest else None,
            alternatives=[self._named(row) for row in drawn.likeliest] or None,
            finish_reason=finish,
            model_version=self._version,
            usage=TurnUsage(prompt_tokens=len(prompt), completion_tokens=len(ids)),
        )

    def _sample(self, prompt: list[int], request: Request, most: int, over: threading.Event) -> "_Drawn":
        """Sampled token ids, the log-probability of each, and the likeliest ones beside it, where asked for."""
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        sampling, stop = request.sampling, request.stop
        beside = request.alternatives if sampling.logprobs else 0
        drawn = _Drawn([], [], [])
        logits: list[Any] = []

        def see(_: Any, scores: Any) -> Any:
            logits[:] = [scores]  # before any warper
            return scores

        def done(ids: Any, _: Any, **__: Any) -> Any:
            odds = torch.log_softmax(logits[0][0].float(), dim=-1)
            drawn.logprobs.append(float(odds[ids[0, -1]]))
            if beside:
                values, tokens = torch.topk(odds, min(beside, len(odds)))
                drawn.likeliest.append(list(zip(tokens.tolist(), values.tolist(), strict=True)))
            tail = self._tokenizer.decode(ids[0, max(len(prompt), ids.shape[1] - TAIL) :]) if stop else ""
            finished = over.is_set() or any(end in tail for end in stop)
            return torch.full((1,), finished, device=ids.device)

        options: dict[str, Any] = {"do_sample": sampling.temperature > 0}
        if sampling.temperature > 0:
            options |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
        ids = torch.tensor([prompt], device=self._model.device)
        with torch.inference_mode(), torch.random.fork_rng(enabled=sampling.seed is not None):
            if sampling.seed is not None:
                torch.manual_seed(sampling.seed)
            out = self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=most,
                logits_processor=LogitsProcessorList([see]),
                stopping_criteria=StoppingCriteriaList([done]),
                **options,
            )
        drawn.ids.extend(out[0, len(prompt) :].tolist())
        return drawn

    def _texts(self, ids: Sequence[int]) -> list[str]:
        """The texts of tokens; the parts of a letter are empty but for the last one, which has the letter."""
        texts: list[str] = []
        parts: list[int] = []
        for token in ids:
            parts.append(token)
            text = self._tokenizer.decode(parts, clean_up_tokenization_spaces=False)
            whole = not text.endswith("\ufffd")
            texts.append(text if whole else "")
            parts = [] if whole else parts
        return texts

    def _named(self, likeliest: Sequence[tuple[int, float]]) -> dict[str, float]:
        """Text to log-probability; of one text they are summed."""
        named: dict[str, float] = {}
        for token, logprob in likeliest:
            text = self._tokenizer.decode([token], clean_up_tokenization_spaces=False)
            named[text] = summed(named.get(text), logprob)
        return named

    async def aclose(self) -> None:
        """Stop the thread. The weights go with the last reference to the model."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Tokens that end a turn: those of the checkpoint and the tokenizer's."""
    known = model.generation_config.eos_token_id
    ends = [*(known if isinstance(known, list) else [known]), tokenizer.eos_token_id]
    return list(dict.fromkeys(end for end in ends if end is not None))


def family(path: str, architecture: str) -> ModelProfile:
    """The profile of a checkpoint: by the name of its folder, then by its architecture."""
    found = profile_of(path)
    return profile_of(architecture.replace("_", "-")) if found is GENERIC else found


def thinks(request: Request) -> bool | None:
    """The switch of reasoning for a turn: off in turns that are not free, unless the sampling says otherwise."""
    return False if request.sampling.thinking is None and request.phase != "act" else request.sampling.thinking


def templated(
    tokenizer: Any,
    messages: Sequence[Message],
    *,
    picture: Callable[[str], Any],
    tools: Sequence[dict[str, Any]] = (),
    switches: Mapping[str, Any] | None = None,
    ask: bool = False,
    go_on: bool = False,
) -> str:
    """A conversation as a tokenizer's chat template writes it.

    Args:
        tokenizer: of transformers.
        messages: as the loop has them.
        picture: called with the name of each picture; raises where none are taken.
        tools: OpenAI function tools.
        switches: of the template, such as `enable_thinking`.
        ask: end with the beginning of an answer.
        go_on: the last message is an answer that goes on.
    """
    shown = render(messages, picture=picture, image_in_tool=False, reasoning=True)
    text: str = tokenizer.apply_chat_template(
        [_plain(message) for message in shown],
        tools=list(tools) or None,
        add_generation_prompt=ask,
        continue_final_message=go_on,
        tokenize=False,
        **(switches or {}),
    )
    return text


def prompt_ids(tokenizer: Any, request: Request, profile: ModelProfile) -> list[int]:
    """Token ids of a conversation without pictures under a model's chat template.

    Raises:
        ModelError: the template failed.
    """
    with boundary(ModelError, "the chat template failed"):
        text = templated(
            tokenizer,
            request.messages,
            picture=no_picture,
            tools=request.tools,
            switches=profile.template_kwargs(thinking=thinks(request)),
            ask=not request.continue_last,
            go_on=request.continue_last,
        )
        return list(tokenizer.encode(text, add_special_tokens=False))


def no_picture(image: str) -> NoReturn:
    """Refuse a picture, as `picture` of `templated`."""
    raise ModelError("this model takes no pictures here; serve it with vLLM: vllm:NAME@URL")


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    """The message as chat templates want it: text content, arguments as objects, the reasoning's older name."""
    plain = dict(message)
    if isinstance(content := plain.get("content"), list):
        plain["content"] = "\n".join(part["text"] for part in content)
    if reasoning := plain.pop("reasoning", None):
        plain["reasoning_content"] = reasoning
    if calls := plain.get("tool_calls"):
        functions = [{**call["function"], "arguments": json.loads(call["function"]["arguments"])} for call in calls]
        plain["tool_calls"] = [{**call, "function": made} for call, made in zip(calls, functions, strict=True)]
    return plain


class _Drawn(NamedTuple):
    """What was sampled; `likeliest` is a list of (token, log-probability) a sampled token, or empty."""

    ids: list[int]
    logprobs: list[float]
    likeliest: list[list[tuple[int, float]]]


class _Split(NamedTuple):
    reasoning: str
    answer: str


def read_text(text: str, *, thinking: bool = False, tools: bool = True) -> Message:
    """The assistant message in generated text.

    Args:
        text: without the token that ended it.
        thinking: the prompt already opened the reasoning.
        tools: look for tool calls: `<tool_call>{...}</tool_call>` (Hermes, Qwen), or nothing but JSON.
    """
    reasoning, answer = _reasoning(text, thinking)
    message: Message = {"role": "assistant", "content": answer}
    if reasoning:
        message["reasoning"] = reasoning
    if tools and (found := _calls(answer)) is not None:
        message["content"] = _CALL.sub("", answer).strip() if "<tool_call>" in answer else ""
        message["tool_calls"] = found
    return message


def _reasoning(text: str, opened: bool) -> _Split:
    before, tag, inside = text.partition("<think>")
    if tag and not before.strip():
        opened, text = True, inside
    if not opened:
        return _Split("", text.strip())
    reasoning, _, answer = text.partition("</think>")
    return _Split(reasoning.strip(), answer.strip())


def _calls(text: str) -> list[dict[str, Any]] | None:
    """The tool calls in a text, or None: one that cannot be read makes the whole text an answer, as in vLLM."""
    found = []
    for raw in _CALL.findall(text) or [text]:
        try:
            read = json.loads(raw)
        except (json.JSONDecodeError, RecursionError):
            return None
        found += read if isinstance(read, list) else [read]
    calls = []
    for number, call in enumerate(found):
        arguments = call.get("arguments", call.get("parameters")) if isinstance(call, dict) else None
        if not isinstance(call, dict) or not isinstance(call.get("name"), str) or arguments is None:
            return None
        arguments = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        function = {"name": call["name"], "arguments": arguments}
        calls.append({"id": f"call_{number}", "type": "function", "function": function})
    return calls or None


@register("model", "hf")
def hf(rest: str) -> HFModel:
    """A checkpoint in this process, through transformers: `hf:PATH`."""
    if not rest:
        raise ConfigError("name the checkpoint: hf:PATH")
    return HFModel(rest)
