"""Guarding a text while it arrives: nothing is shown before it was checked with what follows it.

The text is cut into segments of about a sentence. Each is checked in a window that shows what stands before and behind
it; what is found decides where the segment really ends, so that no finding is cut in two, and then the segment is
released with its masks. For rules that redact, the released text is that of a check of the whole text, however it was
chunked, as long as what a detector finds depends on no more than its `reach` of characters around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stanchion_guard import verdicts
from stanchion_guard.examine import NOT_RUN, RANK, SIZE, Examination, Hit
from stanchion_guard.reach import longest_reach, plans, rules_at_end
from stanchion_guard.records import Check, Finding, Part, Stage, Subject, Verdict
from stanchion_guard.redaction import Vault, apply, patches
from stanchion_guard.segments import AHEAD, LONGEST, Joiner, armour_end, boundary
from stanchion_guard.tally import Tally

if TYPE_CHECKING:
    from stanchion_guard.engine import Guard

BEHIND = 256
"""Characters before a segment that its window holds."""

RUN_STEP = 64
"""Characters between two looks for an end of a run without spaces."""

LONGEST_FINDING = 8_192
"""A finding is held back whole up to this length; a longer one is masked in pieces."""

LONGEST_KEPT = 1_000_000
"""Characters kept for rules that need the whole text, where the policy states no `max_characters`."""


@dataclass(frozen=True, slots=True)
class Released:
    """`text` may be shown. `held_characters` wait for what follows them; `shown_characters` of the original text were
    released in all. Once `blocked`, nothing more will come. `verdict` is set at the end."""

    text: str
    held_characters: int
    shown_characters: int
    blocked: bool = False
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Offsets in the buffer: what is looked at, and the segment inside that may be released."""

    first: int
    start: int
    end: int
    last: int


class Stream:
    """One text in pieces. For one thread, or one task, at a time.

    `feed` every chunk, then `finish`; show the `text` of each answer. `close` gives the verdict. In an event loop use
    `afeed` and `afinish`. `hold_back_characters` is the most that is ever held back, None where the policy holds
    everything; ordinarily it is a sentence and the detectors' reach, `usual_hold_back_characters`.
    """

    def __init__(self, guard: Guard, stage: Stage, background: tuple[Part, ...], vault: Vault | None) -> None:
        self._guard, self._stage, self._background = guard, stage, background
        self._policy = guard.policy
        self._mask = guard.mask(vault)
        self._when_late = {rule.id: rule.when_late for rule in guard.policy.rules}
        self._at_end = rules_at_end(guard.policy, stage)
        self._local, self._last_plan = plans(guard, self._at_end)
        self._reach = longest_reach(self._local, stage)
        self._most_kept = self._policy.max_characters or LONGEST_KEPT
        self._joiner, self._tally = Joiner(), Tally()
        self._pieces: list[str] = []
        self._buffer = ""
        self._origin = self._start = self._scanned = self._need = self._received = 0
        self._wanted: int | None = None
        self._kept: list[str] = []
        self._ended = False
        self.blocked = False
        self.shown_characters = 0
        self.verdict: Verdict | None = None
        self.usual_hold_back_characters = None if self._policy.holds_everything else LONGEST + self._reach + AHEAD
        self.hold_back_characters = None if self._policy.holds_everything else LONGEST_FINDING + self._reach + AHEAD

    def feed(self, chunk: str) -> Released:
        """Takes the next piece, of any length; gives what may be shown now."""
        self._take(self._joiner.take(chunk))
        return self._released(self._work())

    def finish(self) -> Released:
        """The text has ended: gives the rest of it, and the verdict; called again, the verdict alone."""
        if self.verdict is not None:
            return self._released("")
        self._end()
        text = self._work()
        examination = self._last_examination()
        if examination is not None:
            self._guard.run(examination)
        return self._concluded(text, examination)

    def close(self) -> Verdict:
        """The verdict, after `finish`. What an unfinished stream still held is judged, and not shown."""
        verdict = self.finish().verdict
        assert verdict is not None
        return verdict

    async def afeed(self, chunk: str) -> Released:
        self._take(self._joiner.take(chunk))
        return self._released(await self._awork())

    async def afinish(self) -> Released:
        if self.verdict is not None:
            return self._released("")
        self._end()
        text = await self._awork()
        examination = self._last_examination()
        if examination is not None:
            await self._guard.arun(examination)
        return self._concluded(text, examination)

    def _work(self) -> str:
        out = []
        while (window := self._next()) is not None:
            examination = self._examination(window)
            self._guard.run(examination)
            out.append(self._settle(window, examination))
        return "".join(out)

    async def _awork(self) -> str:
        out = []
        while (window := self._next()) is not None:
            examination = self._examination(window)
            await self._guard.arun(examination)
            out.append(self._settle(window, examination))
        return "".join(out)

    def _take(self, text: str) -> None:
        if self._ended:
            raise ValueError("the stream is finished: begin a new one with guard.stream()")
        if not text:
            return
        self._received += len(text)
        if self.blocked:
            return
        self._pieces.append(text)
        if self._policy.holds_everything or (self._at_end and self._received - len(text) < self._most_kept):
            self._kept.append(text)

    def _end(self) -> None:
        self._take(self._joiner.rest())
        self._ended = True

    def _next(self) -> Window | None:
        """The next window that can be judged with the text at hand."""
        if self.blocked or self._policy.holds_everything or (self._received < self._need and not self._ended):
            return None
        if self._pieces:
            self._buffer = "".join((self._buffer, *self._pieces))
            self._pieces.clear()
        text, start = self._buffer, self._start - self._origin
        if start >= len(text):
            return None
        end, self._scanned = boundary(text, start, self._scanned, self._ended)
        if end is None:
            in_a_run = len(text) - start > LONGEST + AHEAD
            self._need = self._received + RUN_STEP if in_a_run else self._need
            return None
        ahead = armour_end(text, start, end, start + LONGEST_FINDING)
        last = max(ahead + self._reach, self._wanted or 0)
        if last > len(text) and not self._ended:
            self._scanned, self._need = 0, min(self._origin + last, self._received + RUN_STEP)
            return None
        return Window(max(0, start - BEHIND), start, end, min(last, len(text)))

    def _examination(self, window: Window) -> Examination:
        part = Part(self._stage, self._buffer[window.first : window.last])
        subject = Subject((part, *self._background))
        started = self._guard.clock()
        return self._guard.examination(self._local, subject, (0,), self._guard.deadline(started))

    def _settle(self, window: Window, examination: Examination) -> str:
        """Decides where the segment ends, counts its checks, gives its masked text; empty while more must be seen."""
        hits = [_moved(hit, window.first) for hit in examination.hits if hit.finding.end + window.first > window.start]
        cut = self._cut(window, [hit.finding for hit in hits if hit.rule.action == "redact"])
        if cut is None:
            return ""
        hits = [hit for hit in hits if hit.finding.start < cut]
        triggered = {hit.rule.id for hit in hits}
        checks = [self._of_segment(check, triggered) for check in examination.checks()]
        self._tally.add_segment(checks, cut - window.start)
        self._tally.note([_moved(hit, self._origin) for hit in hits], self._start)
        if RANK[verdicts.strongest(check.action for check in checks)] >= RANK["reask"]:
            self._block()
            return ""
        text = self._masked(window.start, cut, hits)
        self._advance(cut)
        return text

    def _of_segment(self, check: Check, triggered: set[str]) -> Check:
        """The check as far as it speaks of the segment: what it found before or behind is another segment's."""
        if not check.triggered or check.rule in triggered:
            return check
        action = self._when_late[check.rule] if check.outcome == "late" else "allow"
        return replace(check, triggered=False, action=action)

    def _cut(self, window: Window, hidden: list[Finding]) -> int | None:
        """Where the segment can end without cutting a finding that will be masked; None when more text is needed."""
        cut = window.end
        for finding in sorted(hidden, key=lambda each: each.start, reverse=True):
            if finding.start < cut < finding.end:
                cut = finding.start
        if cut > window.start:
            return cut
        end = window.start
        for finding in sorted(hidden, key=lambda each: each.start):
            if finding.start <= window.start or finding.start < end:
                end = max(end, finding.end)
        return self._cut_behind(window, end)

    def _cut_behind(self, window: Window, end: int) -> int | None:
        """A finding reaches from the segment's beginning beyond its end: cut behind it, once its end is known."""
        most = window.start + LONGEST_FINDING
        complete = self._ended and window.last == len(self._buffer)
        if complete or end + self._reach <= window.last:
            return end
        if window.last >= most + self._reach:
            return min(end, most)
        doubled = window.start + 2 * (window.last - window.start)
        self._wanted = min(max(end + self._reach, doubled), most + self._reach)
        return None

    def _masked(self, start: int, cut: int, hits: list[Hit]) -> str:
        hidden = []
        for hit in hits:
            if hit.rule.action == "redact":
                inside = max(hit.finding.start, start), min(hit.finding.end, cut)
                hidden.append((replace(hit.finding, start=inside[0] - start, end=inside[1] - start), hit.replacement))
        text = self._buffer[start:cut]
        return apply(text, patches(text, hidden, self._mask))

    def _advance(self, cut: int) -> None:
        """The segment is released. Keeps what the next window looks back at."""
        self._start = self.shown_characters = self._origin + cut
        self._wanted, self._scanned = None, 0
        drop = cut - BEHIND
        if 2 * drop >= len(self._buffer):  # less often, and a long chunk would be copied again for every segment
            self._buffer = self._buffer[drop:]
            self._origin += drop

    def _block(self) -> None:
        self.blocked = True
        self._pieces.clear()
        self._buffer = ""

    def _last_examination(self) -> Examination | None:
        """The rules that need the whole text, or all of them where everything was held back."""
        if self.blocked or not self._last_plan.stages[self._stage]:
            return None
        text = "".join(self._kept) if self._policy.holds_everything else "".join(self._kept)[: self._most_kept]
        subject = Subject((Part(self._stage, text), *self._background))
        return self._guard.examination(self._last_plan, subject, (0,), self._guard.deadline(self._guard.clock()))

    def _concluded(self, text: str, examination: Examination | None) -> Released:
        if self._policy.holds_everything:
            return self._concluded_at_once(examination)
        if not self._guard.plan.stages[self._stage]:
            self.verdict = self._uncovered()
            return self._released(text)
        received = self._received
        guarded = min(self._tally.guarded, received)
        for check in self._last_checks(examination):
            self._tally.add(check)
            guarded = 0 if check.outcome in NOT_RUN else guarded
            guarded = min(guarded, check.characters) if check.rule == SIZE else guarded
        self.verdict = self._tally.verdict(self._policy, received, guarded)
        self.blocked = self.verdict.blocked
        return self._released(text)

    def _last_checks(self, examination: Examination | None) -> Iterator[Check]:
        own = {rule.id for rule in self._at_end}
        if examination is None:
            for rule in self._at_end if self.blocked else ():
                probe = self._policy.probes[rule.probe]
                yield Check(rule.id, probe.name, probe.version, 0, "skipped", 0, 0, reason="blocked before the end")
            return
        self._tally.note([hit for hit in examination.hits if hit.rule.id in own], 0)
        yield from (_too_late_to_mask(check) for check in examination.checks() if check.rule in own)
        if self._received > self._most_kept:
            yield verdicts.size_check(0, self._most_kept, self._received, self._policy.beyond)

    def _concluded_at_once(self, examination: Examination | None) -> Released:
        """Everything was held back: the verdict is that of the whole text."""
        text = "".join(self._kept)
        if examination is not None:
            whole = verdicts.verdict(examination, self._mask, self._guard.clock())
            text, self.blocked, self.verdict = whole.texts[0], whole.blocked, replace(whole, texts=())
        else:
            self.verdict = self._uncovered()
        self.shown_characters = 0 if self.blocked else self._received
        return self._released("" if self.blocked else text)

    def _uncovered(self) -> Verdict:
        why = verdicts.why_uncovered(Part(self._stage, ""), self._guard.plan.stages)
        return self._tally.uncovered(self._policy, self._received, why)

    def _released(self, text: str) -> Released:
        held = 0 if self.blocked or self._ended else self._received - self.shown_characters
        return Released(text, held, self.shown_characters, self.blocked, self.verdict)


def _moved(hit: Hit, by: int) -> Hit:
    finding = hit.finding
    return hit._replace(finding=replace(finding, start=finding.start + by, end=finding.end + by)) if by else hit


def _too_late_to_mask(check: Check) -> Check:
    if check.action != "redact":
        return check
    return replace(check, action="flag", reason="the text was shown before this check could see it whole")
