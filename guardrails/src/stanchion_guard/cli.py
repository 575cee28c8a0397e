"""The command `stanchion-guard`: test, validate and try policies, list detectors, score them on labelled data."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stanchion_guard.engine import Guard
    from stanchion_guard.policy import Policy
    from stanchion_guard.policy_tests import Result
    from stanchion_guard.records import Verdict

FAILED, MISUSED = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all is well. 1: a test failed or the text is not to be shown. 2: the policy or the command is wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["evaluate"]:
        from stanchion_guard import evaluate

        return int(evaluate.main(given[1:]) or 0)
    options = _parser().parse_args(given)
    code: int = options.run(options)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stanchion-guard", description=__doc__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    policy_help = "a policy file, or the name of a built-in policy: default, observe, strict"
    for name, run, said in (
        ("test", _test, "run the test cases that the policy carries"),
        ("validate", _validate, "tell every mistake in a policy, with its line"),
        ("check", _check, "judge a text from standard input"),
    ):
        command = commands.add_parser(name, help=said, description=said)
        command.set_defaults(run=run)
        command.add_argument("policy", help=policy_help, nargs="?" if name == "check" else None, default="default")
        command.add_argument("--json", action="store_true", help="print JSON")
        if name == "check":
            command.add_argument("--stage", default="input", help="input, output, retrieved, tool_call or tool_result")
            command.add_argument("--query", help="the question that the text answers")
            command.add_argument(
                "--context", action="append", default=[], metavar="FILE", help="a document it rests on"
            )
    schema = commands.add_parser("schema", help="print the JSON Schema of policies")
    schema.set_defaults(run=_schema)
    detectors = commands.add_parser("detectors", help="list detectors and what each is blind to")
    detectors.add_argument("--json", action="store_true", help="print JSON, with the parameters' schemas")
    detectors.set_defaults(run=_detectors)
    doctor = commands.add_parser("doctor", help="tell what of the package works here, and how fast a check is")
    doctor.set_defaults(run=_doctor)
    commands.add_parser("evaluate", help="score a detector on labelled files: see evaluate --help", add_help=False)
    return parser


def _load(name: str) -> Policy | None:
    """The policy, None after telling what is wrong with it."""
    from stanchion_guard import policy

    try:
        if name in policy.BUILT_IN and not Path(name).exists():
            return policy.named(name)
        found = policy.load(Path(name).read_bytes())
        if found.dead:
            raise policy.PolicyError([*found.dead])
    except OSError as error:
        print(f"{name}: {error.strerror}", file=sys.stderr)  # noqa: T201
    except policy.PolicyError as error:
        for problem in error.problems:
            print(f"{name}: {problem}", file=sys.stderr)  # noqa: T201
    else:
        return found
    return None


def _guard(policy: Policy) -> Guard:
    """A guard for trying things out: its hashes are keyed for this run only."""
    from secrets import token_bytes

    from stanchion_guard.engine import Guard

    return Guard(policy, hash_key=token_bytes(16))


def _validate(options: argparse.Namespace) -> int:
    policy = _load(options.policy)
    if policy is None:
        return MISUSED
    told = {
        "policy": policy.name,
        "version": policy.version,
        "content_hash": policy.content_hash,
        "rules": len(policy.rules),
        "tests": len(policy.cases),
        "unavailable": dict(policy.unavailable),
    }
    if options.json:
        _say(json.dumps(told, indent=2))
        return 0
    _say(f"{policy.name} {policy.version}: {len(policy.rules)} rules, {len(policy.cases)} tests")
    _say(f"sha256 {policy.content_hash}")
    for rule, reason in policy.unavailable:
        _say(f"not available: {rule}: {reason}")
    return 0


def _test(options: argparse.Namespace) -> int:
    from stanchion_guard import policy_tests

    policy = _load(options.policy)
    if policy is None:
        return MISUSED
    results = list(policy_tests.run(_guard(policy)))
    failed = sum(not result.passed for result in results)
    if options.json:
        _say(json.dumps([_result(result) for result in results], indent=2, ensure_ascii=False))
    else:
        for result in results:
            _tell(result)
        _say(f"{len(results) - failed} passed, {failed} failed" if results else "the policy carries no tests")
    return FAILED if failed else 0


def _result(result: Result) -> dict[str, object]:
    differences = [asdict(difference) for difference in result.differences]
    return {"name": result.case.name, "passed": result.passed, "differences": differences}


def _tell(result: Result) -> None:
    _say(f"{'ok    ' if result.passed else 'FAILED'} {result.case.name}")
    if result.passed:
        return
    where = f"line {result.case.line}" if result.case.line else ""
    for difference in result.differences:
        _say(f"       {where}  {difference.what}")
        for sign, text in (("-", difference.expected), ("+", difference.got)):
            for line in text.split("\n"):
                _say(f"         {sign} {line}")
    for rule, reason in result.not_run:
        _say(f"       not run: {rule}: {reason}")


def _check(options: argparse.Namespace) -> int:
    from stanchion_guard.records import STAGES

    policy = _load(options.policy)
    if policy is None:
        return MISUSED
    if options.stage not in STAGES:
        print(f"no stage '{options.stage}'; there are {', '.join(STAGES)}", file=sys.stderr)  # noqa: T201
        return MISUSED
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    try:
        context = [Path(name).read_text("utf-8", "replace") for name in options.context]
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return MISUSED
    verdict = _guard(policy).check(text, options.stage, query=options.query, context=context)
    if options.json:
        _say(json.dumps(asdict(verdict), indent=2, ensure_ascii=False))
    else:
        _tell_verdict(verdict)
    return FAILED if verdict.blocked else 0


def _tell_verdict(verdict: Verdict) -> None:
    coverage = verdict.coverage
    _say(f"{verdict.action}  ({verdict.policy} {verdict.policy_version}, {verdict.elapsed_us} µs)")
    _say(f"checked {coverage.guarded_characters} of {coverage.total_characters} characters, {coverage.ran} checks ran")
    for _, reason in coverage.uncovered:
        _say(f"not looked at: {reason}")
    if verdict.message:
        _say(f"message: {verdict.message}")
    rows = [("rule", "outcome", "score", "action", "µs", "reason")]
    for check in verdict.checks:
        score = "" if check.score is None else f"{check.score:.3f}"
        rows.append((check.rule, check.outcome, score, check.action, str(check.elapsed_us), check.reason or ""))
    _table(rows)
    if verdict.findings:
        found = [(f.label, f"{f.start}-{f.end}", f"{f.score:.3f}", f.detector, f.reason) for f in verdict.findings]
        _table([("label", "place", "score", "detector", "reason"), *found])
    _say(verdict.texts[0])


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    _say("")


def _schema(options: argparse.Namespace) -> int:
    from stanchion_guard import policy

    _say(json.dumps(policy.schema(), indent=2))
    return 0


def _detectors(options: argparse.Namespace) -> int:
    from stanchion_guard.detectors import NAMES, detector_class

    listed: list[dict[str, object]] = []
    for name in NAMES:
        try:
            made = detector_class(name)
        except ImportError as error:
            listed.append({"name": name, "available": False, "reason": f"not installed here: {error.name}"})
            continue
        told: dict[str, object] = {"name": name, "available": True, "tier": made.tier, "version": made.version}
        told |= {"threshold": made.threshold, "labels": list(made.labels), "blind_to": made.blind_to}
        listed.append(told | {"parameters": made.parameters})
    if options.json:
        _say(json.dumps(listed, indent=2))
        return 0
    for each in listed:
        if not each["available"]:
            _say(f"{each['name']}  ({each['reason']})")
            continue
        labels = each["labels"]
        assert isinstance(labels, list)
        _say(f"{each['name']}  {each['tier']}, threshold {each['threshold']}, labels: {', '.join(labels)}")
        _say(f"    blind to: {each['blind_to']}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    """0 where every light detector works; the compiled scan is optional."""
    from stanchion_guard import native, policy

    guard = _guard(policy.named("default"))
    text = "Please order four parcels for the office before the end of the week. " * 58
    took = sorted(guard.check(text).elapsed_us for _ in range(50))[25]
    missing = guard.policy.unavailable
    _say(f"python            {sys.version.split()[0]}")
    _say(f"compiled scan     {native.status}" + ("" if native.scan else ": verdicts are the same, checks take longer"))
    _say(f"policy 'default'  {took} µs for {len(text):,} characters of prose")
    for rule, reason in missing:
        _say(f"not available     {rule}: {reason}")
    return FAILED if missing else 0


def _say(text: str) -> None:
    print(text)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
