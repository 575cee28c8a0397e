"""`stanchion-gpu-agent run|once|doctor`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from google.protobuf import json_format

from stanchion_gpu import __version__, doctor, nvml, scrape, settings
from stanchion_gpu.agent import Agent


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        told = settings.read(options.config)
    except settings.WrongSetting as error:
        say(f"wrong setting: {error}")
        return 2
    if options.command == "doctor":
        return doctor.main(told, tell)
    try:
        return _run(told) if options.command == "run" else _once(told)
    except nvml.NoDriver as error:
        say(f"no GPU is read: {error}")
        return 1
    except scrape.NoAddress as error:
        say(str(error))
        return 2


def _run(told: settings.Settings) -> int:
    if told.endpoint is None and not told.prometheus:
        say("nothing to do: set endpoint (STANCHION_ENDPOINT) to send, or prometheus to be scraped")
        return 2
    agent = Agent(told, say)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop.set())
    agent.run()
    return 0


def _once(told: settings.Settings) -> int:
    sys.stdout.write(json_format.MessageToJson(Agent(told, say).once()) + "\n")
    return 0


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")


def say(text: str) -> None:
    """One line of the log, whatever a door or a driver said; journald and Kubernetes put the time before it."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    sys.stderr.write(f"stanchion-gpu-agent: {line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stanchion-gpu-agent", description="GPU and serving-engine metrics as OTLP")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--config", type=Path, help="a TOML file; STANCHION_GPU_* variables go before it")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="read and send until told to stop")
    commands.add_parser("once", help="print one reading as OTLP JSON, send nothing")
    commands.add_parser("doctor", help="say what can be read here and whether the address answers")
    return parser


if __name__ == "__main__":
    sys.exit(main())
