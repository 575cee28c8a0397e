"""An application full of other libraries' tracing, with secrets and people's data wherever a span can carry them."""

import contextlib
import logging
import os

import stanchion_sdk as stanchion

assert stanchion.init()

import urllib3  # noqa: E402 - after init, as an application that starts with it has it
from langchain_core.tools import tool  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402
from openai import OpenAI  # noqa: E402
from openinference.instrumentation import using_attributes  # noqa: E402
from openinference.instrumentation.langchain import LangChainInstrumentor  # noqa: E402
from openinference.instrumentation.openai import OpenAIInstrumentor  # noqa: E402
from opentelemetry import baggage, context, trace  # noqa: E402
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor  # noqa: E402
from opentelemetry.trace import Link, SpanContext, TraceFlags, TraceState  # noqa: E402

TEXT = os.environ["PLANTED"]
OpenAIInstrumentor().instrument()
LangChainInstrumentor().instrument()


def show_headers(span, pool, request):
    for name, value in (request.headers or {}).items():
        span.set_attribute(f"http.request.header.{name.lower()}", [value])


URLLib3Instrumentor().instrument(request_hook=show_headers)
tracer = trace.get_tracer("an.app", "1 " + TEXT)


@tool
def lookup(question: str) -> str:
    """Looks something up."""
    return "found " + question


def fail() -> None:
    raise RuntimeError("cannot reach " + TEXT)


context.attach(baggage.set_baggage("who", TEXT))
remote = SpanContext(7, 8, True, TraceFlags(1), TraceState([("vendor", "ann@example.org")]))
labels = stanchion.feature(TEXT), stanchion.session(TEXT), stanchion.tags(TEXT, "eu"), stanchion.prompt(TEXT, TEXT)
with contextlib.ExitStack() as stack:
    for label in (*labels, stanchion.user("ann@example.org")):
        stack.enter_context(label)
    stack.enter_context(using_attributes(session_id=TEXT, user_id=TEXT, metadata={"note": TEXT}, tags=[TEXT]))
    OpenAI().chat.completions.create(
        model="gpt-4o-mini", user="ann@example.org", extra_headers={"X-Api-Key": "hunter2hunter2"},
        messages=[{"role": "system", "content": TEXT}, {"role": "user", "content": [{"type": "text", "text": TEXT}]}],
        tools=[{"type": "function", "function": {"name": "f", "description": TEXT, "parameters": {"type": "object"}}}],
    )  # fmt: skip
    ChatOpenAI(model="gpt-4o-mini").invoke(TEXT)
    lookup.invoke({"question": TEXT})
    with contextlib.suppress(Exception):
        OpenAI().chat.completions.create(model="no-such-ann@example.org", messages=[{"role": "user", "content": TEXT}])
    with contextlib.suppress(Exception):
        headers = {"Authorization": "Token hunter2hunter2", "Cookie": "sid=hunter2hunter2"}
        urllib3.PoolManager(retries=False).request(
            "GET", os.environ["OPENAI_BASE_URL"] + "/x?api_key=hunter2hunter2&mail=ann%40example.org", headers=headers
        )
    links = [Link(remote, {"why": TEXT, "password": "hunter2hunter2"})]
    span = tracer.start_span(
        "ask " + TEXT, links=links, context=trace.set_span_in_context(trace.NonRecordingSpan(remote))
    )
    with contextlib.suppress(RuntimeError), trace.use_span(span, end_on_exit=True):
        span.add_event("the user said " + TEXT, {"body": TEXT, TEXT: TEXT})
        span.set_attribute("db.statement", f"select * from people where mail = '{TEXT}'")
        span.set_attribute(TEXT, 1)
        stanchion.record_call(provider="p", model="m", input=TEXT, output=TEXT, attributes={"note": [TEXT]})
        stanchion.feedback(comment=TEXT, label=TEXT, correction=TEXT, name=TEXT, session_id=TEXT, score=1)
        fail()
logging.getLogger("app").warning("done")
