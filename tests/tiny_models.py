"""A tiny Qwen3 that recites: made within a second, with no training and no download.

Attention and feed-forward layers add nothing, so each token follows from the one before it alone; the head is set so
that a chain of tokens leads from the end of the prompt through a phrase to the end of the turn. The pieces of a phrase
are tokens of their own and no piece may be in two phrases. Without phrases the weights stay random, attention and all.
"""

from pathlib import Path
from typing import Any

TEMPLATE = """\
{%- if tools %}{{ '<|im_start|>tools\\n' + (tools | tojson) + '<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.reasoning_content %}{{ '<think>' + message.reasoning_content + '</think>' }}{% endif %}
{{- message.content }}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) }}
{{- '}</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant' }}
{%- if enable_thinking is defined and not enable_thinking %}{{ '<think></think>' }}{% endif %}
{%- endif %}
"""
END = "<|im_end|>"
ACT = "assistant"
"""Piece before an ordinary turn."""
CONCLUDE = "</think>"
"""Piece before a turn without thinking."""


def build_qwen3(folder: Path, phrases: dict[str, list[str]] | None = None, *, context: int = 4096) -> Path:
    """Write a model and its tokenizer into `folder`.

    Args:
        folder: made if need be.
        phrases: from the piece that comes before it to the pieces of each phrase; `END` is added.
        context: tokens.
    """
    import torch

    pieces = [piece for before, phrase in (phrases or {}).items() for piece in [before, *phrase]]
    words = tokenizer_of(list(dict.fromkeys([ACT, CONCLUDE, "<think>", "<tool_call>", "</tool_call>", *pieces])))
    torch.manual_seed(0)
    model = random_qwen3(words, width=64, context=context)
    if phrases is None:
        torch.nn.init.normal_(model.lm_head.weight, std=0.3)
    else:
        _recite(model, words, phrases)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def random_qwen3(words: Any, *, width: int, context: int, tied: bool = False) -> Any:
    """A model of two layers for a tokenizer, by torch's current seed; `width` is that of its two heads together."""
    import transformers

    config = transformers.Qwen3Config(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=width // 2,
        max_position_embeddings=context,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        bos_token_id=None,
        tie_word_embeddings=tied,
    )
    return transformers.Qwen3ForCausalLM(config)


def tokenizer_of(pieces: list[str]) -> Any:
    """A byte-level tokenizer in which each of these pieces is one token."""
    import tokenizers
    import transformers

    core = tokenizers.Tokenizer(tokenizers.models.BPE())
    core.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator([Path(__file__).read_text(encoding="utf-8")], trainer)
    core.add_special_tokens(["<|endoftext|>", "<|im_start|>", END])
    core.add_tokens([tokenizers.AddedToken(piece, normalized=False) for piece in pieces])
    words = transformers.PreTrainedTokenizerFast(tokenizer_object=core, eos_token=END, pad_token="<|endoftext|>")
    words.chat_template = TEMPLATE
    return words


def _recite(model: Any, words: Any, phrases: dict[str, list[str]]) -> None:
    import torch

    with torch.no_grad():
        embeddings = torch.nn.functional.normalize(torch.randn(len(words), 64), dim=-1) * 8
        model.model.embed_tokens.weight.copy_(embeddings)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        head = torch.zeros(len(words), 64)
        for before, phrase in phrases.items():
            chain = [words.convert_tokens_to_ids(piece) for piece in (before, *phrase, END)]
            for token, following in zip(chain, chain[1:], strict=False):
                head[following] += 0.4 * embeddings[token]
        model.lm_head.weight.copy_(head)
