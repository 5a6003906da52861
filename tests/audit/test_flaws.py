"""Every audit beside every flaw: each flaw is caught by the audits that are named, and by no other; the honest is kept.

A case set of all kinds is asked, so a flaw in one kind has to be seen among judgements that are right.
"""

from pathlib import Path

import pytest
from flawed_judges import (
    always_yes,
    claims,
    evidence_ignorer,
    first_position,
    honest,
    judged,
    longest,
    obedient,
    overconfident,
    pairs,
    runs,
    sums,
    tag_believer,
)

from agentjudge.audit.running import audits

CAUGHT = {
    always_yes: {"calibration", "causal", "consistency", "evidence", "master-keys"},
    first_position: {"consistency", "master-keys", "order"},
    longest: {"consistency", "master-keys", "style"},
    tag_believer: {"master-keys"},
    obedient: {"injection"},
    evidence_ignorer: {"causal", "evidence"},
    overconfident: {"calibration", "master-keys"},
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTJUDGE_CACHE", str(tmp_path))


def states(rule) -> dict[str, str]:
    cases = [*sums(80), *pairs(50), *claims(90), *runs(40)]
    return {audit.name: judged(audit, rule, cases).state for audit in audits()}


@pytest.mark.parametrize("rule", CAUGHT, ids=lambda rule: rule.__name__)
def test_a_flaw_is_caught_by_its_audits_alone(rule) -> None:
    assert {name for name, state in states(rule).items() if state == "broken"} == CAUGHT[rule]


def test_the_honest_judge_is_kept_by_every_audit() -> None:
    found = states(honest)
    assert found.pop("mattered") == "silent"  # a rule calls no tool
    assert set(found.values()) == {"kept"}


def test_what_no_rule_can_be_caught_by() -> None:
    """A rule has no chance in it, and calls no tool; `test_order` and `test_mattered` have judges that do."""
    assert {audit.name for audit in audits()} - set().union(*CAUGHT.values()) == {"mattered", "repeats"}
