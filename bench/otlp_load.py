"""OTLP/HTTP load: writes GenAI export requests to a folder, or sends them to a running server.

    script/bench otlp_load generate --out DIR [--spans 20480] [--gzip]
    script/bench otlp_load send --dir DIR --url http://127.0.0.1:8000 --api-key KEY [--connections 4]

Load goes to this machine's loopback only. `tests/kit/load.py` says what a request holds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from kit.load import Export, Load
from kit.sending import Delivery, Sender, Target

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    writing = commands.add_parser("generate", help="write requests to a folder")
    writing.add_argument("--out", type=Path, required=True)
    add_mix(writing)
    writing.set_defaults(run=lambda options: write(options.out, load_of(options)))
    sending = commands.add_parser("send", help="send a folder of requests")
    sending.add_argument("--dir", type=Path, required=True)
    sending.add_argument("--url", required=True)
    sending.add_argument("--api-key", required=True)
    sending.add_argument("--connections", type=int, default=4)
    sending.add_argument("--retries", type=int, default=0)
    sending.add_argument("--limit-s", type=float, default=300)
    sending.set_defaults(run=send)
    options = parser.parse_args()
    options.run(options)


def add_mix(parser: argparse.ArgumentParser) -> None:
    """What the requests hold; the defaults are the mix that all published figures were measured with."""
    parser.add_argument("--spans", type=int, default=20_480)
    parser.add_argument("--spans-per-request", type=int, default=512)
    parser.add_argument("--prompt-bytes", type=int, default=2048)
    parser.add_argument("--answer-bytes", type=int, default=1024)
    parser.add_argument("--days", type=float, default=7, help="the spans are spread over so many days before now")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--gzip", action="store_true")


def load_of(options: argparse.Namespace) -> Load:
    return Load(
        seed=options.seed,
        end_s=time.time(),
        total=max(1, options.spans // options.spans_per_request),
        days=options.days,
        spans=options.spans_per_request,
        prompt_bytes=options.prompt_bytes,
        answer_bytes=options.answer_bytes,
        is_gzip=options.gzip,
    )


def write(folder: Path, load: Load) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.jsonl").open("w") as manifest:
        for index in range(load.total):
            export = load.export(index)
            name = f"{index:06d}.pb" + (".gz" if export.is_gzip else "")
            (folder / name).write_bytes(export.body)
            manifest.write(json.dumps({"file": name, "spans": export.keys}) + "\n")
    print(f"{load.total} requests in {folder}")


def read(folder: Path) -> list[Export]:
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    return [
        Export((folder / row["file"]).read_bytes(), row["file"].endswith(".gz"), tuple(map(tuple, row["spans"])))
        for row in rows
    ]


def send(options: argparse.Namespace) -> None:
    refuse_foreign(options.url)
    exports = read(options.dir)
    sender = Sender(
        Target(options.url, options.api_key), exports, connections=options.connections, retries=options.retries
    )
    print(json.dumps(summary(sender.run(options.limit_s)), indent=2))


def refuse_foreign(url: str) -> None:
    if urlsplit(url).hostname not in LOOPBACK:
        sys.exit(f"{url} is not on this machine; load is sent to loopback only.")


def summary(delivery: Delivery) -> dict[str, object]:
    spans = len(delivery.acknowledged)
    return {
        "acknowledged_spans": spans,
        "wall_s": round(delivery.wall_s, 2),
        "spans_per_s": round(spans / delivery.wall_s) if delivery.wall_s else None,
        "statuses": dict(delivery.statuses),
        "p50_ms": round(delivery.percentile_ms(50), 1),
        "p95_ms": round(delivery.percentile_ms(95), 1),
        "p99_ms": round(delivery.percentile_ms(99), 1),
    }


if __name__ == "__main__":
    main()
