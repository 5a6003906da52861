# make setup    .venv with the command in it
# make demo     verify the claims that come with the package
# make test     everything but what needs a vLLM server
# make test-vllm  the contract against a real vLLM server on the CPU
# make test-engines  rewards and judges inside TRL, verl, OpenRLHF, SkyRL, verifiers and Agent Lightning, on the CPU
# make fuzz     ten minutes of whatever the API's OpenAPI allows, and what it does not, against a server process
# make bench    the claims benchmark;  make speed  what a judgement costs, beside other ways to write it
# make train-embedded  the embedded judge's weights again, from AGENTJUDGE_DATA
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup demo test test-vllm test-engines fuzz lint types bench speed train-embedded

setup: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "torch==2.13.0" || $(BIN)/python -m pip install --quiet torch
	$(BIN)/python -m pip install --quiet -e ".[all,dev]"
	touch $(STAMP)

demo: setup
	$(BIN)/agentjudge demo

test: setup lint types
	$(BIN)/pytest -m "not vllm and not engines"

test-vllm: setup
	$(PYTHON) tests/vllm/install.py
	$(BIN)/pytest -m vllm tests/vllm

ENGINES := trl verifiers skyrl verl openrlhf

test-engines: setup
	$(BIN)/python tests/engines/install.py $(ENGINES) agent_lightning
	for name in $(ENGINES); do .venv-$$name/bin/python -m pytest -m engines tests/engines/test_$$name*.py || exit 1; done
	$(BIN)/pytest -m engines tests/engines/test_agent_lightning.py

FUZZ_SECONDS ?= 600

fuzz: setup
	AGENTJUDGE_FUZZ_SECONDS=$(FUZZ_SECONDS) HYPOTHESIS_PROFILE=search $(BIN)/pytest tests/serving/test_api_schema.py -s

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

bench: setup
	$(BIN)/agentjudge bench claims
	$(BIN)/agentjudge bench claims --oracle-evidence

speed: setup
	$(BIN)/python -m pip install --quiet -e ".[bench-speed]"
	$(BIN)/python -m agentjudge.benchmarks.speed.loop
	$(BIN)/python -m agentjudge.benchmarks.speed.engines
	$(BIN)/python -m agentjudge.benchmarks.speed.embedded
	$(BIN)/python -m agentjudge.benchmarks.speed.runs
	$(BIN)/python -m agentjudge.benchmarks.speed.crops
	$(BIN)/python -m agentjudge.benchmarks.speed.pages
	$(BIN)/python -m agentjudge.benchmarks.speed.rewards
	$(BIN)/python -m agentjudge.benchmarks.speed.rollouts
	$(BIN)/python -m agentjudge.benchmarks.speed.streams

train-embedded: setup
	$(BIN)/python -m pip install --quiet -e ".[train-embedded]"
	$(BIN)/python -m agentjudge.models.embedded.train --data "$(AGENTJUDGE_DATA)" --out build/embedded --log build/embedded/train.jsonl
	$(BIN)/python -m agentjudge.models.embedded.export --data "$(AGENTJUDGE_DATA)" --checkpoint build/embedded/verifier.pt
	$(BIN)/python -m agentjudge.benchmarks.embedded_trajectory --data "$(AGENTJUDGE_DATA)" --fit --report
