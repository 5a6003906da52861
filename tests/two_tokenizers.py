"""Two families of tokenizers, trained on the project's own prompts within a second: byte-level BPE, and Unigram with
words marked by `▁`, as SentencePiece makes them."""

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

Kind = Literal["bpe", "unigram"]
ROOT = Path(__file__).resolve().parents[1]
SPECIAL = ["<|endoftext|>", "<|begin_of_text|>", "<|im_start|>", "<|im_end|>", "<end_of_utterance>", "<image>"]
HEADERS = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
WORDS = ["<think>", "</think>", "<tool_call>", "</tool_call>"]


@lru_cache
def _texts() -> tuple[str, ...]:
    files = [*sorted((ROOT / "graphs" / "prompts").rglob("*.txt")), Path(__file__)]
    return tuple(path.read_text(encoding="utf-8") for path in files)


@lru_cache
def _core(kind: Kind, size: int) -> str:
    import tokenizers
    from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

    if kind == "bpe":
        core = tokenizers.Tokenizer(models.BPE())
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    else:
        core = tokenizers.Tokenizer(models.Unigram())
        core.normalizer = normalizers.NFC()
        lines = pre_tokenizers.Split(Regex(r"\n"), "isolated")  # SentencePiece joins no line breaks to words
        core.pre_tokenizer = pre_tokenizers.Sequence([lines, pre_tokenizers.Metaspace(prepend_scheme="first")])
        core.decoder = decoders.Metaspace(prepend_scheme="first")
        letters = sorted({letter for text in _texts() for letter in text if letter != " "} | set("éü▁?\n"))
        trainer = trainers.UnigramTrainer(
            vocab_size=size, initial_alphabet=letters, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
        )
    core.train_from_iterator(list(_texts()), trainer)
    core.add_special_tokens([*SPECIAL, *HEADERS])
    core.add_tokens([tokenizers.AddedToken(word, normalized=False) for word in WORDS])
    return str(core.to_str())


def build(kind: Kind, *, size: int = 700, end: str = "<|im_end|>") -> Any:
    """A tokenizer of transformers without a chat template.

    Args:
        kind: of the two.
        size: tokens, about.
        end: the token that ends a sequence.
    """
    import tokenizers
    import transformers

    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer.from_str(_core(kind, size)),
        eos_token=end,
        pad_token="<|endoftext|>",
        bos_token="<|begin_of_text|>",
    )
