"""Claims with contrary evidence, for the audit of evidence: the same claim with the evidence of another label.

    cases = contrary("fever_symmetric")      # with their evidence and gold, held out from the embedded model
    python -m agentjudge.benchmarks.claims_pairs fever_symmetric check_covid --out audit

FEVER-symmetric (arXiv 1908.05267) has each claim with a sentence that supports it and one that refutes it; Check-COVID
(2023.findings-acl.888) repeats some of its claims with another sentence of the same abstract, which settles nothing.
All claims may be answered NOT ENOUGH INFO, so that a judge can say what is right when the evidence is gone.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from agentjudge.benchmarks.claims_sets import load_set
from agentjudge.case import CLAIM_LABELS, Claim
from agentjudge.errors import DataError
from agentjudge.models.embedded.splits import Part

SETS = ("fever_symmetric", "check_covid")


def contrary(name: str, data: Path | None = None, *, parts: Sequence[Part] = ("held_out",)) -> list[Claim]:
    """Claims of a set that stand in it with gold of two labels or more, each time with the evidence of one.

    Args:
        name: one of `SETS`.
        data: folder of the data sets; the environment variable AGENTJUDGE_DATA when None.
        parts: rows by what the embedded model has seen of them.

    Returns:
        Claims with their documents, their gold and all three labels, those of one claim beside each other.

    Raises:
        DataError: there is no such set, no data, or no such claim.
    """
    if name not in SETS:
        raise DataError(f"no claims with contrary evidence in {name!r}; there is {', '.join(SETS)}")
    same: dict[str, list[Claim]] = {}
    for item in load_set(name, data, oracle_evidence=True).items:
        if item.part in parts:
            same.setdefault(item.claim.claim, []).append(item.claim.model_copy(update={"labels": CLAIM_LABELS}))
    found = [claim for each in same.values() if len({_gold(claim) for claim in each}) > 1 for claim in each]
    if not found:
        raise DataError(f"{name} has no claim with contrary evidence among the rows {', '.join(parts)}")
    return [claim.model_copy(update={"id": f"{name}/{claim.id}"}) for claim in found]


def _gold(claim: Claim) -> str | None:
    return None if claim.gold is None else claim.gold.label


def main(arguments: Sequence[str] | None = None) -> None:
    """Audit a judge on these claims and print what was found."""
    from rich.console import Console
    from rich.table import Table

    from agentjudge.audit.running import audits, plan, run, save
    from agentjudge.judge import Judge
    from agentjudge.models.base import Sampling

    parser = argparse.ArgumentParser(description="Does a judge of claims follow the evidence it is given?")
    parser.add_argument("sets", nargs="+", choices=SETS)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--data", type=Path, help="folder of the data sets (default: AGENTJUDGE_DATA)")
    parser.add_argument("--only", nargs="+", default=["evidence", "calibration"], help="audits to make")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs, one a set; gone on with")
    given = parser.parse_args(arguments)

    def loads(*, blobs: Path, tools: bool = True, temperature: float | None = None) -> Judge:
        sampling = None if temperature is None else Sampling(temperature=temperature)
        return Judge.load("veri-r1", model=given.model, blobs=blobs, sampling=sampling, seed=0)

    for name in given.sets:
        planned = plan(audits(given.only), contrary(name, given.data))
        report = run(planned, loads, given.out / name, resume=True)
        save(report, given.out / name)
        table = Table("number", "mean", "95% interval", "n", "limit", "state", "beside", title=f"{name}: {given.model}")
        for number in (number for finding in report.findings for number in finding.numbers):
            value = number.value
            row = [number.name, f"{value.mean:.3f}", f"{value.low:.3f} to {value.high:.3f}", str(value.n)]
            table.add_row(*row, "" if number.limit is None else f"{number.limit:g}", number.state, number.beside)
        Console(width=160).print(table)


if __name__ == "__main__":
    main()
