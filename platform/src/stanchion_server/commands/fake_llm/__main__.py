"""The fake provider as a process: prints its address and serves until it is interrupted."""

from __future__ import annotations

import argparse
import threading

from stanchion_server.commands.fake_llm.server import FakeLlm


def main() -> None:
    parser = argparse.ArgumentParser(description="A fake OpenAI, Anthropic and Gemini provider on loopback.")
    parser.add_argument("--port", type=int, default=8089, help="0 takes a free one")
    parser.add_argument("--latency-ms", type=float, default=20.0, help="time before the first byte of an answer")
    parser.add_argument("--chunk-ms", type=float, default=30.0, help="time between two streamed chunks")
    args = parser.parse_args()
    with FakeLlm(port=args.port, latency_ms=args.latency_ms, chunk_ms=args.chunk_ms) as fake:
        print(f"fake LLM provider at {fake.url}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped", flush=True)


if __name__ == "__main__":
    main()
