"""The openai client, as anybody would use it: a moderation, several, and one with a wrong key."""

import sys

import openai

client = openai.OpenAI(default_headers={"x-stanchion-policy": "chat"}, max_retries=0)
one = client.moderations.create(input=f"say {sys.argv[1]}", model="omni-moderation-latest")
several = client.moderations.create(input=["a", "b"])
assert one.results[0].category_scores.violence >= 0
assert one.results[0].categories.hate_threatening is False
assert "sexual/minors" in one.results[0].unsupported_categories
print("flagged", one.results[0].flagged)
print("results", len(several.results))
try:
    client.with_options(api_key="sk-wrong").moderations.create(input="a")
except openai.APIStatusError as error:
    print("refused", type(error).__name__, error.status_code)
