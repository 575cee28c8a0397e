"""From a policy's document to a Policy: its structure against the schema, then what a schema cannot say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, cast

from stanchion_guard import policy, policy_yaml, schema_check
from stanchion_guard.detectors import NAMES, BadParameters, Unavailable, detector_class
from stanchion_guard.policy import Case, Policy, Probe, Registry, Rule
from stanchion_guard.policy_yaml import Document, Path, PolicyError, Problem
from stanchion_guard.records import ROLES, STAGES, Action, Part, Subject, Usage

_NEVER_LATE = "'{0}' is missing: say it in the rule or once under `defaults` (allow, flag, reask, fallback or block)"

_NEARLY = 0.75
"""Likeness of a role to a known one from which it is taken for a slip: `usr`, `assistent`, `User`."""


def compile_document(source: str | bytes | Mapping[str, Any], detectors: Registry) -> Policy:
    document = policy_yaml.read(source)
    if not isinstance(document.data, dict):
        document.problems.append(document.problem((), "a policy is a mapping that begins with `policy: its-name`"))
        raise PolicyError(document.problems)
    faults = list(schema_check.faults(document.data, policy.schema()))
    for path, text, at_key in faults:
        document.problems.append(document.problem(path, text, at_key=at_key))
    return _Compiler(document, detectors, [path for path, _, _ in faults]).policy()


class _Compiler:
    """Compiles a document. Collects problems and raises them together at the end: of what has the wrong structure, all
    that can be told beside that. `wrong` are the paths of what the schema does not allow."""

    def __init__(self, document: Document, detectors: Registry, wrong: Sequence[Path]) -> None:
        self.document, self.detectors = document, detectors
        self.wrong = frozenset(wrong)
        self.holds_wrong = frozenset(path[:length] for path in wrong for length in range(len(path) + 1))
        self.data: dict[str, Any] = document.data
        self.probes: list[Probe] = []
        self.known: dict[str, int | None] = {}
        self.rules: list[Rule] = []
        self.ids: dict[str, int] = {}
        self.dead: list[Problem] = []

    def problem(self, path: Path, text: str, *, at_key: bool = False) -> None:
        self.document.problems.append(self.document.problem(path, text, at_key=at_key))

    def policy(self) -> Policy:
        for path, written in self._rows("rules"):
            if path in self.holds_wrong:
                self._wrong_rule(path, written)
            else:
                self._rule(path, written)
        cases = [self._case(path, each) for path, each in self._rows("tests") if path not in self.holds_wrong]
        self._needs_deadline()
        if self.document.problems:
            raise PolicyError([*self.document.problems, *self.dead])
        written, content_hash = policy.digest(self.data)
        size = self.data.get("size", {})
        return Policy(
            name=self.data["policy"],
            version=str(self.data["version"]),
            description=self.data.get("description"),
            content_hash=content_hash,
            rules=tuple(self.rules),
            probes=tuple(self.probes),
            cases=tuple(cases),
            deadline_ms=self.data.get("deadline_ms"),
            max_characters=size.get("max_characters"),
            beyond=size.get("beyond", "allow"),
            redact=self.data.get("redact", {}).get("mode", "label"),
            holds_everything=self.data.get("stream", {}).get("hold") == "everything",
            message=self.data.get("message"),
            written=written,
            dead=tuple(self.dead),
        )

    def _rows(self, name: str) -> Iterator[tuple[Path, Any]]:
        rows = self.data.get(name, ())
        if isinstance(rows, list):
            yield from (((name, index), row) for index, row in enumerate(rows))

    def _wrong_rule(self, path: Path, written: Any) -> None:
        """What can be told of a rule whose structure is wrong beside that: its detector, and what is missing."""
        if not isinstance(written, dict):
            return
        if isinstance(name := written.get("id"), str):
            self.ids.setdefault(name, len(self.rules))
        self.rules.append(_placeholder({"id": name, "stages": (), "action": "flag"}))
        parameters = written.get("parameters", {})
        if isinstance(written.get("detector"), str) and (*path, "parameters") not in self.holds_wrong:
            self._probe(path, {"detector": written["detector"], "parameters": parameters})
        for key in ("when_late", "when_failed"):
            self._when(path, written, key)

    def _rule(self, path: Path, written: dict[str, Any]) -> None:
        after = self._after(path, written)
        probe = self._probe(path, written)
        late, failed = (self._when(path, written, key) for key in ("when_late", "when_failed"))
        self._needs_message(path, written)
        if written["id"] in self.ids:
            self.problem((*path, "id"), f"a rule '{written['id']}' stands above already: give this one another id")
        self.ids.setdefault(written["id"], len(self.rules))
        if probe is None:
            self.rules.append(_placeholder(written))
            return
        found = self.probes[probe]
        self._looks_at_something(path, written, found)
        tables = written.get("thresholds", {})
        threshold = float(written.get("threshold", found.detector.threshold if found.detector else 0.5))
        others = (value for table in tables.values() for value in table.values())
        rule = Rule(
            id=written["id"],
            stages=tuple(written["stages"]),
            probe=probe,
            action=written["action"],
            threshold=threshold,
            by_kind=tables.get("kind", {}),
            by_language=tables.get("language", {}),
            labels=self._labels(path, written, found),
            roles=frozenset(written["roles"]) if "roles" in written else None,
            message=written.get("message"),
            when_late=late,
            when_failed=failed,
            after=after,
            band=tuple(written.get("when", (0.0, 1.0))),
            level=self._level(after),
            lowest_threshold=min((threshold, *others)),
        )
        self.rules.append(rule)

    def _after(self, path: Path, written: dict[str, Any]) -> int | None:
        if ("after" in written) != ("when" in written):
            self.problem(path, "`after` and `when` belong together: after: rule-id, when: [low, high]")
        if "after" not in written:
            return None
        if written.get("when", [0, 1])[0] > written.get("when", [0, 1])[1]:
            self.problem((*path, "when"), "the first number must not be larger than the second")
        if written["after"] not in self.ids:
            listed = ", ".join(self.ids) or "none"
            self.problem((*path, "after"), f"no rule '{written['after']}' stands above this one; above stand: {listed}")
        return self.ids.get(written["after"])

    def _level(self, after: int | None) -> int:
        """A rule after a cheap one is decided in the same round; after an expensive one, in the next."""
        if after is None:
            return 0
        before = self.rules[after]
        return before.level + (1 if before.probe >= 0 and self.probes[before.probe].heavy else 0)

    def _when(self, path: Path, written: dict[str, Any], key: str) -> Action:
        if ("defaults",) in self.wrong or ("defaults", key) in self.wrong:
            return "flag"
        chosen = written.get(key, self.data.get("defaults", {}).get(key))
        if chosen is None:
            self.problem(path, _NEVER_LATE.format(key))
        return cast(Action, chosen)

    def _looks_at_something(self, path: Path, written: dict[str, Any], probe: Probe) -> None:
        """Notes a stage that the detector never looks at, and a role that is nearly one of ROLES: messages may come
        with roles of their own."""
        known = getattr(probe.detector, "stages", STAGES)
        for index, stage in enumerate(written["stages"]):
            if stage not in known:
                text = f"'{probe.name}' looks at {', '.join(known)} alone and would look at nothing here"
                self.dead.append(self.document.problem((*path, "stages", index), text))
        for index, role in enumerate(written.get("roles", ())):
            meant = get_close_matches(role.lower(), ROLES, 1, _NEARLY)
            if meant and role not in ROLES:
                text = f"no client sends the role '{role}': did you mean '{meant[0]}'?"
                self.dead.append(self.document.problem((*path, "roles", index), text))

    def _needs_message(self, path: Path, written: dict[str, Any]) -> None:
        action = written["action"]
        if action in ("fallback", "reask") and "message" not in written and "message" not in self.data:
            self.problem(path, f"'message' is missing: {action} answers with it", at_key=True)

    def _needs_deadline(self) -> None:
        for index, rule in enumerate(self.rules):
            if rule.probe >= 0 and self.probes[rule.probe].heavy and "deadline_ms" not in self.data:
                name = self.probes[rule.probe].name
                text = f"'{name}' is an expensive check: state `deadline_ms` at the top of the policy"
                self.problem(("rules", index, "detector"), text)

    def _labels(self, path: Path, written: dict[str, Any], probe: Probe) -> frozenset[str] | None:
        if "labels" not in written:
            return None
        known = probe.detector.labels if probe.detector else ()
        for index, label in enumerate(written["labels"]):
            made_here = json.dumps(label) in json.dumps(written.get("parameters", {}))
            if known and label not in known and not made_here:
                text = f"'{probe.name}' has no label '{label}'; it has: {', '.join(known)}"
                self.problem((*path, "labels", index), text)
        chosen = frozenset(written["labels"])
        return None if known and chosen >= set(known) else chosen

    def _probe(self, path: Path, written: dict[str, Any]) -> int | None:
        """The index of the rule's probe, None where it has a problem."""
        name, parameters = written["detector"], written.get("parameters", {})
        key = json.dumps([name, parameters], sort_keys=True)
        if key not in self.known:
            made = self._make(path, name, parameters)
            self.known[key] = None if made is None else len(self.probes)
            if made is not None:
                self.probes.append(made)
        return self.known[key]

    def _make(self, path: Path, name: str, parameters: dict[str, Any]) -> Probe | None:
        if name not in NAMES and name not in self.detectors:
            listed = [*self.detectors, *NAMES]
            self.problem((*path, "detector"), f"no detector '{name}'{schema_check.guess(name, listed)}")
            return None
        try:
            make = self.detectors[name] if name in self.detectors else detector_class(name)
        except ImportError as error:
            return Probe(name, "0", name not in self.detectors, None, f"not installed here: {error.name}")
        before = len(self.document.problems)
        for inner, text, at_key in schema_check.faults(parameters, closed(getattr(make, "parameters", {}))):
            self.problem((*path, "parameters", *inner), f"{name}: {text}", at_key=at_key)
        if len(self.document.problems) > before:
            return None
        return self._build(path, name, make, parameters)

    def _build(self, path: Path, name: str, make: Any, parameters: dict[str, Any]) -> Probe | None:
        heavy = getattr(make, "tier", "light") == "heavy"
        try:
            built = make(**parameters)
        except (Unavailable, ImportError, OSError) as error:
            reason = f"a file is missing: {error.filename}" if isinstance(error, OSError) else str(error)
            return Probe(name, str(getattr(make, "version", "0")), heavy, None, reason)
        except BadParameters as error:
            for inner, text in error.problems:
                self.problem((*path, "parameters", *inner), f"{name}: {text}")
            return None
        except Exception as error:
            self.problem((*path, "parameters"), f"{name}: {error or type(error).__name__}")
            return None
        return Probe(name, str(built.version), built.tier == "heavy", built)

    def _case(self, path: Path, written: dict[str, Any]) -> Case:
        expected = written["expect"]
        subject, judged = self._subject(path, written)
        for index, rule in enumerate(expected.get("rules", ())):
            if rule not in self.ids:
                self.problem((*path, "expect", "rules", index), f"the policy has no rule '{rule}'")
        self._finds_its_labels(path, expected.get("labels", ()))
        texts = expected.get("texts", [expected["text"]] if "text" in expected else None)
        return Case(
            name=written["name"],
            subject=subject,
            judged=judged,
            action=expected["action"],
            labels=tuple(sorted(expected["labels"])) if "labels" in expected else None,
            rules=tuple(sorted(expected["rules"])) if "rules" in expected else None,
            texts=tuple(texts) if texts is not None else None,
            line=(self.document.values.get(path) or (None,))[0],
        )

    def _finds_its_labels(self, path: Path, labels: Sequence[str]) -> None:
        """Notes a label that no rule can find. Says nothing where a detector is not there or tells no labels."""
        known = [found.detector.labels if found.detector else () for found in self.probes]
        if not all(known) or any(rule.probe < 0 for rule in self.rules):
            return
        made_here = json.dumps([rule.get("parameters", {}) for rule in self.data["rules"]])
        listed = sorted({label for each in known for label in each})
        for index, label in enumerate(labels):
            if label not in listed and json.dumps(label) not in made_here:
                text = f"no rule finds '{label}'{schema_check.guess(label, listed)}"
                self.dead.append(self.document.problem((*path, "expect", "labels", index), text))

    def _subject(self, path: Path, written: dict[str, Any]) -> tuple[Subject, tuple[int, ...] | None]:
        usage = Usage(**written.get("usage", {}))
        if "parts" in written:
            if "text" in written or "stage" in written:
                self.problem(path, "a case has either `parts`, or `stage` and `text`")
            return Subject(tuple(Part(**part) for part in written["parts"]), usage), None
        for key in ("stage", "text"):
            if key not in written:
                self.problem(path, f"'{key}' is missing: a case has either `parts`, or `stage` and `text`", at_key=True)
        own = {key: written[key] for key in ("role", "kind", "language") if key in written}
        judged = Part(written.get("stage", "input"), written.get("text", ""), **own)
        background = background_parts(written.get("query"), written.get("context", ()))
        return Subject((judged, *background), usage), (0,)


def background_parts(query: str | None, context: Any) -> tuple[Part, ...]:
    """What a text is measured against: the question it answers and the documents it should rest on. Raises TypeError
    for a single text in place of several: its letters would be the documents."""
    if isinstance(context, str):
        raise TypeError("`context` is a list of texts, not one text")
    asked = (Part("input", query, role="user"),) if query is not None else ()
    return asked + tuple(Part("retrieved", text) for text in context)


def closed(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """A detector's parameter schema under which unknown parameters are mistakes unless it says otherwise."""
    if "properties" in parameters or not parameters:
        return {"type": "object", "additionalProperties": False, **parameters}
    return parameters


def _placeholder(written: dict[str, Any]) -> Rule:
    """Stands for a rule that has problems, so that indexes of the others stay right until all problems are raised."""
    stages, action = tuple(written["stages"]), written["action"]
    return Rule(
        written["id"], stages, -1, action, 1.0, {}, {}, None, None, None, "flag", "flag", None, (0.0, 1.0), 0, 1.0
    )
