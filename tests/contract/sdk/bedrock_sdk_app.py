"""An application that only calls `init()`: boto3's bedrock-runtime, Converse and the models' own bodies."""

import json
import os

import stanchion_sdk as stanchion

assert stanchion.init()

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

KEYS = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
client = boto3.client(
    "bedrock-runtime", endpoint_url=os.environ["BEDROCK_URL"], config=Config(retries={"max_attempts": 1}), **KEYS
)
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
QUESTION = [{"role": "user", "content": [{"text": "Capital of France?"}]}]
ASK = {
    "modelId": CLAUDE,
    "messages": QUESTION,
    "system": [{"text": "Be brief."}],
    "inferenceConfig": {"maxTokens": 64, "temperature": 0.2},
}
TOOLS = {"tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": SCHEMA}}}]}
ANTHROPIC = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 64,
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "Capital of France?"}],
}
NOVA = {"messages": QUESTION, "system": [{"text": "Be brief."}], "inferenceConfig": {"maxTokens": 64}}
TITAN = {"inputText": "Capital of France?", "textGenerationConfig": {"maxTokenCount": 64}}
seen = {}


def text_of(events):
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    return "".join(delta.get("text", "") for delta in deltas)


def invoke(model, body):
    return client.invoke_model(modelId=model, body=json.dumps(body))["body"]


def invoke_stream(model, body):
    stream = client.invoke_model_with_response_stream(modelId=model, body=json.dumps(body))["body"]
    return [json.loads(event["chunk"]["bytes"]) for event in stream]


def converse_calls():
    with stanchion.feature("plain"):
        seen["plain"] = client.converse(**ASK)["output"]["message"]["content"][0]["text"]
    with stanchion.feature("tools"):
        answer = client.converse(**ASK, toolConfig=TOOLS)
        seen["tools"] = answer["output"]["message"]["content"][0]["toolUse"]["name"]
    with stanchion.feature("stream"):
        stream = client.converse_stream(**ASK)["stream"]
    seen["stream"] = text_of(stream)  # consumed after the block
    with stanchion.feature("stream_tools"):
        list(client.converse_stream(**ASK, toolConfig=TOOLS)["stream"])
    with stanchion.feature("stream_closed"):
        stream = client.converse_stream(**ASK)["stream"]
        next(iter(stream))
        stream.close()
    with stanchion.feature("stream_unread"):
        client.converse_stream(**ASK)
    with stanchion.feature("profile"):
        client.converse(**{**ASK, "modelId": "arn:aws:bedrock:us-east-1:1:inference-profile/us." + CLAUDE})


def invocations():
    with stanchion.feature("invoke_anthropic"):
        seen["invoke_anthropic"] = json.loads(invoke(CLAUDE, ANTHROPIC).read())["content"][0]["text"]
    with stanchion.feature("invoke_anthropic_stream"):
        events = invoke_stream(CLAUDE, ANTHROPIC)
        seen["invoke_anthropic_stream"] = "".join(event.get("delta", {}).get("text", "") for event in events)
    with stanchion.feature("invoke_nova"):
        body = b"".join(invoke("amazon.nova-lite-v1:0", NOVA).iter_chunks(16))
        seen["invoke_nova"] = json.loads(body)["output"]["message"]["content"][0]["text"]
    with stanchion.feature("invoke_nova_stream"):
        seen["invoke_nova_stream"] = text_of(invoke_stream("amazon.nova-lite-v1:0", NOVA))
    with stanchion.feature("invoke_titan"), invoke("amazon.titan-text-express-v1", TITAN) as raw:
        seen["invoke_titan"] = json.loads(raw.read())["results"][0]["outputText"]
    with stanchion.feature("invoke_titan_stream"):
        chunks = invoke_stream("amazon.titan-text-express-v1", TITAN)
        seen["invoke_titan_stream"] = "".join(chunk["outputText"] for chunk in chunks)
    with stanchion.feature("invoke_unread"):
        invoke(CLAUDE, ANTHROPIC).close()
    with stanchion.feature("embeddings"):
        seen["embeddings"] = len(json.load(invoke("amazon.titan-embed-text-v2:0", {"inputText": "a"}))["embedding"])
    with stanchion.feature("error"):
        try:
            client.converse(**{**ASK, "modelId": "error-429"})
        except ClientError as error:
            seen["error"] = error.response["ResponseMetadata"]["HTTPStatusCode"]


converse_calls()
invocations()
print(json.dumps(seen))
