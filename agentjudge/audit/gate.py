"""A gate: how sound a judge has to be before it pays money or gradients.

    policy = read_policy(Path("policy.toml"))
    report = report.model_copy(update={"gate": held(report, policy)})

    # policy.toml
    require = ["master-keys", "order"]          # audits whose numbers have to be kept
    on = "interval"                             # the whole interval within its limit; or "mean"
    [limits.master-keys]
    "taken for right" = 0.05                    # in place of the audit's own limit

`agentjudge audit --gate policy.toml` ends with 3 where a judge is not let through, and `agentjudge serve --rewards
--audited FOLDER` serves only the judge that was.
"""

import json
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from agentjudge.audit.base import REPORT, Finding, Number, Passed, Report
from agentjudge.case import Record
from agentjudge.errors import ConfigError, boundary

SAME = ("name", "prompts", "model", "protocol", "tools", "sampling")
"""Settings by which a judge is the one that was audited; seeds and limits of time may differ."""


class Policy(Record):
    """What a judge has to keep."""

    require: tuple[str, ...]
    on: Literal["interval", "mean"] = "interval"
    limits: Mapping[str, Mapping[str, float]] = {}
    """By audit and number, in place of the audit's own."""


def read_policy(file: Path) -> Policy:
    """A policy from a file.

    Raises:
        ConfigError: it cannot be read, or says something unknown.
    """
    with boundary(ConfigError, f"cannot read the policy {file}"):
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    try:
        policy = Policy.model_validate(told)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{file}: {where}: {first['msg']}; there is require, on and limits") from exc
    if not policy.require:
        raise ConfigError(f"{file}: require names no audit, so everything would pass")
    return policy


def check(policy: Policy, audited: Collection[str]) -> None:
    """Refuse a policy on audits that are not made, before any is.

    Raises:
        ConfigError: it names one.
    """
    if unknown := [name for name in (*policy.require, *policy.limits) if name not in audited]:
        raise ConfigError(f"the policy names {unknown[0]!r}, and audited was {', '.join(sorted(audited))}")


def held(report: Report, policy: Policy) -> Passed:
    """Whether a judge is let through, and what stands against it.

    Raises:
        ConfigError: the policy names an audit that was not made, or a number that it has not.
    """
    findings = {finding.audit: finding for finding in report.findings}
    check(policy, findings)
    against: list[str] = []
    for name in dict.fromkeys((*policy.require, *policy.limits)):
        finding, limits = findings[name], policy.limits.get(name, {})
        numbers = {number.name: number for number in finding.numbers}
        if strange := [each for each in limits if finding.numbers and each not in numbers]:
            raise ConfigError(f"{name} has no number {strange[0]!r}; there is {', '.join(numbers)}")
        against += _against(finding, limits, policy.on)
    return Passed(passed=not against, against=tuple(against))


def _against(finding: Finding, limits: Mapping[str, float], on: str) -> list[str]:
    if finding.silent or not finding.numbers:
        return [f"{finding.audit} says nothing: {finding.silent or 'it has no numbers'}"]
    told = []
    for number in finding.numbers:
        limited = number.model_copy(update={"limit": limits.get(number.name, number.limit)})
        if limited.limit is None or _kept(limited, on):
            continue
        value = number.value
        told.append(
            f"{finding.audit}, {number.name}: {value.mean:.3f} [{value.low:.3f}, {value.high:.3f}] over {value.n}, and "
            f"{'at most' if number.better == 'low' else 'at least'} {limited.limit:g} is let through"
        )
    return told


def _kept(number: Number, on: str) -> bool:
    if on == "interval":
        return number.state == "kept"
    limit = number.limit or 0.0
    return number.value.mean <= limit if number.better == "low" else number.value.mean >= limit


def demand(file: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a judge that was not let through.

    Args:
        file: `report.json` of an audit, or the folder that holds it.
        settings: of the judge that is to be served.

    Raises:
        ConfigError: there is no report, it is of another judge, or the judge did not pass.
    """
    file = file / REPORT if file.is_dir() else file
    with boundary(ConfigError, f"cannot read the audit {file}"):
        report = Report.model_validate(json.loads(file.read_text(encoding="utf-8")))
    if report.gate is None:
        raise ConfigError(f"{file} was held against no gate: agentjudge audit --gate POLICY.toml")
    if not report.gate.passed:
        raise ConfigError(f"the judge was not let through by its audit ({file}): {report.gate.against[0]}")
    for name in SAME:
        had, has = (_seedless(each.get(name)) for each in (report.settings, settings))
        if had != has:
            raise ConfigError(f"{file} is the audit of another judge: its {name} was {had!r}, and is {has!r} here")


def _seedless(value: Any) -> Any:
    return {name: each for name, each in value.items() if name != "seed"} if isinstance(value, dict) else value
