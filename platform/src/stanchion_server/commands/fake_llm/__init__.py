"""A language-model provider that is not one: OpenAI, Anthropic and Gemini endpoints with made-up answers, on loopback.

It serves the contract tests and the demo. `python -m stanchion_server.commands.fake_llm --port 8089` starts it; in
tests `with FakeLlm() as fake:` does. Real clients are pointed at it with `OPENAI_BASE_URL={url}/v1` and
`ANTHROPIC_BASE_URL={url}`.

Steering, for clients that cannot be told apart otherwise: a model name that ends in `error-<status>` (or the request
header `x-fake-status`) is refused with that status; the header `x-fake-latency-ms` sets the time before the first byte,
`x-fake-chunk-ms` the time between two chunks. A `FakeLlm` with a `script` answers a request with the header
`x-fake-script: <key>` as the script says for that key.
"""

from stanchion_server.commands.fake_llm.answers import REFERENCE_USAGE, Answer, Scripted, Usage
from stanchion_server.commands.fake_llm.server import FakeLlm, ServedCall

__all__ = ["REFERENCE_USAGE", "Answer", "FakeLlm", "Scripted", "ServedCall", "Usage"]
