"""Every group, then the count: each row that is built worked at least once and was refused at least twice, each of its
fields was in a request that worked, and it was refused, of each of its operations.

Run by tests/tests/compatibility.rs: run.py LIST.json WEB_ENDPOINT [unittest's arguments]; with arguments of its own, such
as `-k ranges`, nothing is counted.
"""

import sys
import unittest
from pathlib import Path

import answers
import base


def short_of_proof():
    """Rows that are built and were not shown as the rule asks."""
    for name, row in {**base.OPERATIONS, **base.FIELDS}.items():
        if row["built"] == "no":
            continue
        if not base.worked[name]:
            yield f"{name}: no case shows that it works"
        if "topic" in row and not row["every"]:
            pairs = [(operation, field) for operation in row["of"] for field in row["names"]]
            for operation, field in pairs:
                if (name, operation, field) not in base.carried:
                    yield f"{name}: {field} of {operation} was in no request that worked"
            for operation in () if row["harmless"] else row["of"]:
                if (name, operation) not in base.refused_of:
                    yield f"{name} of {operation} was never refused"
        if base.refusals[name] < 2 and not row.get("harmless"):
            yield f"{name}: {base.refusals[name]} refusals, and there must be two"


def main():
    here = Path(__file__).parent
    suite = unittest.TestSuite()
    loader = unittest.TestLoader()
    chosen = sys.argv[3:]
    if chosen[:1] == ["-k"]:
        loader.testNamePatterns = [f"*{chosen[1]}*"]
    for file in sorted(here.glob("*.py")):
        if file.stem not in ("answers", "base", "run", "model"):
            suite.addTests(loader.loadTestsFromName(file.stem))
    result = unittest.TextTestRunner(verbosity=2 if chosen else 1).run(suite)
    # What reads as never set has little to say.
    built = {name for name, row in base.OPERATIONS.items() if row["built"] != "no" and row["difference"] != "reads as never set"}
    short = [] if chosen else [*short_of_proof(), *answers.never_seen(built)]
    if short:
        print(f"{len(short)} rows are short of proof:", *short, sep="\n")
    if short or not result.wasSuccessful():
        sys.exit(1)
    rows = sum(1 for name in {**base.OPERATIONS, **base.FIELDS} if base.worked[name])
    print(f"MEASURED {result.testsRun} cases, {rows} rows work, {base.refusals.total()} refusals")


main()
