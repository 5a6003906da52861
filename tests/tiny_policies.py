"""A tiny Qwen3 that can be trained: random weights, words of the gym as tokens, a template that keeps what was said."""

from pathlib import Path
from typing import Any

import tiny_models

TEMPLATE = """\
{%- if tools %}{{ '<|im_start|>tools\\n' }}{% for tool in tools %}{{ tool.function.name + ' ' }}{% endfor %}
{{- '<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') }}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) }}
{{- '}</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""
PIECES = [
    "<tool_call>", "</tool_call>", '{"name": "retrieve", "arguments": {"query": "', '"}}', "I have seen enough.",
    '{"reason": "', '", "evidence": [', '], "label": "', '", "confidence": 1.0}', "SUPPORT", "REFUTE",
    "NOT ENOUGH INFO",
]  # fmt: skip


def tiny_tokenizer() -> Any:
    """The tokenizer of `build_policy`."""
    words = tiny_models.tokenizer_of(PIECES)
    words.chat_template = TEMPLATE
    return words


def build_policy(folder: Path, *, context: int = 2048, seed: int = 0) -> Path:
    """Write a random model of about 60,000 parameters and its tokenizer into `folder`."""
    import torch

    words = tiny_tokenizer()
    torch.manual_seed(seed)
    tiny_models.random_qwen3(words, width=32, context=context, tied=True).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
