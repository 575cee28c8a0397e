"""boto3 as anybody would use it: ApplyGuardrail with a bearer token and an endpoint of ours."""

import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

client = boto3.client(
    "bedrock-runtime", endpoint_url=os.environ["BEDROCK_URL"], config=Config(retries={"total_max_attempts": 1})
)
given = {"source": "INPUT", "content": [{"text": {"text": "mail a.b@example.org"}}]}
one = client.apply_guardrail(guardrailIdentifier="chat", guardrailVersion="1", **given)
print("masked", one["action"], one["outputs"][0]["text"])
[entity] = one["assessments"][0]["sensitiveInformationPolicy"]["piiEntities"]
print("entity", entity["type"], entity["action"])
full = client.apply_guardrail(guardrailIdentifier=sys.argv[1], guardrailVersion="DRAFT", outputScope="FULL", **given)
print("by arn", full["action"])
try:
    client.apply_guardrail(guardrailIdentifier="nothing", guardrailVersion="1", **given)
except ClientError as error:
    print("refused", error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
