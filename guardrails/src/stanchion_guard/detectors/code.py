"""Code in fences: whether it parses, and whether it does something dangerous."""

# ruff: noqa: E501 - a pattern broken over lines is harder to check than a long line

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import re2
import yaml

from stanchion_guard.detectors import Tier
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

LONGEST = 20_000
_DEEPEST = 100
_FILE = "guarded_answer"
_ALIASES = {
    "py": "python",
    "python3": "python",
    "yml": "yaml",
    "sh": "shell",
    "bash": "shell",
    "zsh": "shell",
    "console": "shell",
}
LANGUAGES = ("python", "json", "yaml", "sql", "shell")
_DANGERS: dict[str, tuple[tuple[str, str], ...]] = {
    "shell": (
        (r"\brm\s+(?:-[a-z-]+\s+)*-[a-z]*(?:rf|fr|r)[a-z]*\s+(?:--\S+\s+)*[\"']?(?:/|~|\$HOME|\*)", "deletes from the root or home"),
        (r"\b(?:curl|wget)\b[^\n|;]*\|\s*(?:sudo\s+)?(?:ba|z|da|k)?sh\b", "runs what it downloads"),
        (r"\b(?:ba|z)?sh\s+(?:-c\s+)?[\"']?(?:<\(|\$\()\s*(?:curl|wget)", "runs what it downloads"),
        (r"\bdd\b[^\n]*\bof=/dev/(?:sd|nvme|hd|disk)|\bmkfs(?:\.\w+)?\s+/dev/|>\s*/dev/(?:sd|nvme)", "overwrites a disk"),
        (r":\(\)\s*\{\s*:\|:&\s*\};:", "a fork bomb"),
        (r"\bchmod\s+(?:-R\s+)?(?:a\+rwx|0?777)\s+/(?:\s|$)", "opens the root to everybody"),
        (r"/dev/tcp/|\bnc\b[^\n]*\s-e\s", "a reverse shell"),
        (r"\bbase64\s+(?:-d|--decode)\b[^\n|]*\|\s*(?:ba|z)?sh\b", "runs encoded text"),
    ),
    "sql": (
        (r"(?i)\bdrop\s+(?:table|database|schema)\b", "drops a table, schema or database"),
        (r"(?i)\btruncate\s+table\b", "empties a table"),
        (r"(?i)\b(?:delete\s+from\s+[\w.\"`]+|update\s+[\w.\"`]+\s+set\s[^;]*?)\s*;\s*(?:$|--)", "touches every row: no where"),
        (r"(?i)'\s*or\s+'?1'?\s*=\s*'?1|\bunion\s+(?:all\s+)?select\b[^;]*\bpassword", "looks like an SQL injection"),
        (r"(?i)\bxp_cmdshell\b|\binto\s+outfile\b|\bload_file\s*\(", "reaches outside the database"),
    ),
}  # fmt: skip
_CALLS = {
    "eval": "evaluates text as code", "exec": "runs text as code", "os.system": "runs a shell command", "os.popen": "runs a shell command",
    "pickle.load": "unpickles, which runs code", "pickle.loads": "unpickles, which runs code", "marshal.loads": "loads code objects",
    "yaml.unsafe_load": "loads YAML that can run code", "__import__": "imports by a computed name", "shutil.rmtree": "deletes a tree",
    "subprocess.getoutput": "runs a shell command", "dill.loads": "unpickles, which runs code", "torch.load": "may unpickle",
    "joblib.load": "unpickles, which runs code",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Block:
    language: str
    code: str
    start: int


class Code:
    """Score 1 = a danger, 0.6 = a block that does not parse as its language. `languages` limits which are judged."""

    name = "code"
    version = "1"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {"languages": {"type": "array", "items": {"enum": list(LANGUAGES)}, "minItems": 1}},
        "additionalProperties": False,
    }
    labels = ("invalid_code", "dangerous_code")
    threshold = 0.7
    blind_to = (
        "Code outside ``` fences, languages other than Python, JSON, YAML, SQL and shell, and dangers that are put together at"
        " run time. SQL is only checked for closed quotes and brackets."
    )

    def __init__(self, languages: Sequence[str] = LANGUAGES) -> None:
        unknown = sorted(set(languages) - set(LANGUAGES))
        if unknown:
            raise ValueError(f"code cannot judge {', '.join(unknown)}; it knows {', '.join(LANGUAGES)}")
        self._languages = frozenset(languages)

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        if "```" not in reading.raw:
            return Detection(None, skipped="no fenced code")
        blocks = [block for block in _blocks(reading.raw) if block.language in self._languages]
        if not blocks:
            return Detection(None, skipped="no fenced code in a language that is judged")
        if any(len(block.code) > LONGEST for block in blocks):
            return Detection(None, skipped=f"a code block is longer than {LONGEST} characters")
        findings = [found for block in blocks for found in self._judge(block, part)]
        return Detection(max((f.score for f in findings), default=0.0), tuple(findings))

    def _judge(self, block: _Block, part: int) -> list[Finding]:
        end = block.start + len(block.code)
        fault, tree = _fault(block)
        found = [] if fault is None else [Finding(self.name, "invalid_code", 0.6, part, block.start, end, fault)]
        for first, last, reason in _dangers(block, tree):
            places = (block.start + first, block.start + last)
            found.append(Finding(self.name, "dangerous_code", 1.0, part, *places, reason))
        return found


def _blocks(text: str) -> list[_Block]:
    found, at = [], 0
    while (opening := text.find("```", at)) >= 0:
        line = text.find("\n", opening)
        if line < 0:
            break
        closing = text.find("```", line)
        stop = closing if closing >= 0 else len(text)
        tag = text[opening + 3 : line].strip().split(" ")[0].lower()
        found.append(_Block(_ALIASES.get(tag, tag), text[line + 1 : stop], line + 1))
        at = stop + 3
    return found


def _fault(block: _Block) -> tuple[str | None, ast.AST | None]:
    try:
        if block.language == "python":
            # not catch_warnings: it is not safe between threads. The filter names nothing but this file name.
            for category in (SyntaxWarning, DeprecationWarning):
                warnings.filterwarnings("ignore", category=category, module=_FILE)
            return None, ast.parse(block.code, _FILE)
        if block.language == "json":
            json.loads(block.code)
        if block.language == "yaml":
            _check_yaml(block.code)
    except SyntaxError as error:
        return f"not Python: line {error.lineno}", None
    except (ValueError, RecursionError, MemoryError, yaml.YAMLError):
        return f"not {block.language}, or nested too deeply", None
    if block.language == "sql" and not _balanced(block.code):
        return "not SQL: a quote or bracket is not closed", None
    return None, None


def _check_yaml(code: str) -> None:
    """Events only: no objects are made and no alias is expanded."""
    depth = 0
    for event in yaml.parse(code, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")


def _balanced(code: str) -> bool:
    depth, quote = 0, ""
    for character in code:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"`":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
            if depth < 0:
                return False
    return depth == 0 and not quote


@cache
def _compiled(language: str) -> list[tuple[Any, str]]:
    return [(re2.compile(pattern), reason) for pattern, reason in _DANGERS[language]]


def _dangers(block: _Block, tree: ast.AST | None) -> list[tuple[int, int, str]]:
    if block.language == "python":
        return [] if tree is None else _python_dangers(tree, block.code)
    if block.language not in _DANGERS:
        return []
    hits = [(pattern.search(block.code), reason) for pattern, reason in _compiled(block.language)]
    return [(hit.start(), hit.end(), reason) for hit, reason in hits if hit]


def _python_dangers(tree: ast.AST, code: str) -> list[tuple[int, int, str]]:
    lines = [0]
    for line in code.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (reason := _call_danger(node)):
            start = lines[node.lineno - 1]
            found.append((start, min(len(code), lines[min(node.end_lineno or node.lineno, len(lines) - 1)]), reason))
    return found


def _call_danger(call: ast.Call) -> str | None:
    name = _dotted(call.func)
    if name.startswith("subprocess.") and any(k.arg == "shell" and _is_true(k.value) for k in call.keywords):
        return "runs a shell command"
    if name == "yaml.load" and not any(
        "Safe" in _dotted(a) for a in (*call.args[1:], *(k.value for k in call.keywords))
    ):
        return "loads YAML that can run code"
    if name.rpartition(".")[2] in ("execute", "executemany") and call.args and _built_text(call.args[0]):
        return "builds SQL out of values"
    return _CALLS.get(name)


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _is_true(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _built_text(node: ast.AST) -> bool:
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(value, ast.FormattedValue) for value in node.values)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, (ast.Add, ast.Mod)) and not (
            isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant)
        )
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format"
