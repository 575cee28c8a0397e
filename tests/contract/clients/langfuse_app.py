"""Langfuse's SDK with its drop-in openai client; it sends OTLP to a path of its own with Basic credentials."""

import app_calls
from langfuse import get_client
from langfuse.openai import OpenAI

client = OpenAI(max_retries=0)
for scenario in app_calls.scenarios():
    app_calls.openai_call(client, scenario)
get_client().flush()
get_client().shutdown()
