"""How many tokens a judgement reads and writes: what arithmetic about servers starts from.

    python -m agentjudge.benchmarks.speed.tokens [CASES [CORPUS]] [--judge veri-r1] [--json]

The embedded judge searches and concludes as any model does, in the same messages, so its traces say how long the
conversations are. They are counted by the tokenizer of its encoder (WordPiece, 30,522 pieces), without what a chat
template adds and without the schemas of tools. What the embedded judge writes is short: a model that reasons aloud
writes more, by as much as it reasons. `fresh` is what no earlier turn of the judgement had in its prompt: with a prefix
cache a server computes no more.
"""

import argparse
import json
import statistics
from functools import lru_cache
from pathlib import Path
from typing import Any

from agentjudge.case import read_cases
from agentjudge.demo import CORPUS
from agentjudge.judge import Judge
from agentjudge.models.embedded.verifier import WEIGHTS
from agentjudge.trace import Message, Trace


@lru_cache
def _tokenizer() -> Any:
    import tokenizers

    made = tokenizers.Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
    made.no_truncation()
    made.no_padding()
    return made


def tokens(message: Message) -> int:
    """Of what is said in a message, and of the calls in it."""
    content = message.get("content") or ""
    text = content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return len(_tokenizer().encode(text + (json.dumps(calls) if calls else ""), add_special_tokens=False).ids)


def counted(trace: Trace) -> dict[str, int]:
    """Turns and tokens of a judgement."""
    sizes = [tokens(message) for message in trace.messages]
    prompts = [sum(sizes[place] for place in turn.messages_in) for turn in trace.turns]
    read = {place for turn in trace.turns for place in turn.messages_in}
    written = sum(tokens(turn.message_out) for turn in trace.turns)
    return {"turns": len(prompts), "read": sum(prompts), "fresh": sum(sizes[i] for i in read), "written": written}


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="?", type=Path, default=CORPUS.with_name("claims.jsonl"))
    parser.add_argument("corpus", nargs="?", type=Path, default=CORPUS)
    parser.add_argument("--judge", default="veri-r1")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[dict[str, int]] = []
    with Judge.load(options.judge, corpus=options.corpus, seed=0) as judge:
        judge.batch(read_cases(options.cases), on_trace=lambda trace: rows.append(counted(trace)))
    found = {name: {"mean": statistics.mean(row[name] for row in rows), "most": max(row[name] for row in rows)}
             for name in rows[0]}  # fmt: skip
    if options.json:
        print(json.dumps({"n": len(rows), **found}, indent=2))
        return
    print(f"{len(rows)} judgements of {options.judge}")
    for name, row in found.items():
        print(f"  {name:8} {row['mean']:8.1f} on average, {row['most']} at most")


if __name__ == "__main__":
    main()
