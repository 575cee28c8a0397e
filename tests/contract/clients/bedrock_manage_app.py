"""boto3 as anybody would use it: a guardrail made, read, changed, versioned, applied, listed and deleted."""

import json
import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

once = Config(retries={"total_max_attempts": 1})
manage = boto3.client("bedrock", endpoint_url=os.environ["BEDROCK_URL"], config=once)
runtime = boto3.client("bedrock-runtime", endpoint_url=os.environ["BEDROCK_URL"], config=once)
wanted = json.loads(sys.argv[1])
made = manage.create_guardrail(**wanted)
print("created", made["version"])
arn = made["guardrailArn"]
told = manage.get_guardrail(guardrailIdentifier=arn)
kinds = [row["type"] for row in told["sensitiveInformationPolicy"]["piiEntities"]]
print("read", told["status"], told["blockedInputMessaging"], kinds)
del wanted["clientRequestToken"]
manage.update_guardrail(guardrailIdentifier=made["guardrailId"], **wanted)
version = manage.create_guardrail_version(guardrailIdentifier=arn, description="first")["version"]
print("version", version)
given = {"source": "INPUT", "content": [{"text": {"text": "of Acme"}}]}
print("applied", runtime.apply_guardrail(guardrailIdentifier=arn, guardrailVersion=version, **given)["action"])
listed = manage.list_guardrails(guardrailIdentifier=arn)["guardrails"]
print("listed", [row["version"] for row in listed])
enforced = {"guardrailIdentifier": arn, "guardrailVersion": version}
config = manage.put_enforced_guardrail_configuration(guardrailInferenceConfig=enforced)["configId"]
rows = manage.list_enforced_guardrails_configuration()["guardrailsConfig"]
print("enforced", [(row["guardrailVersion"], row["configId"] == config) for row in rows])
manage.delete_enforced_guardrail_configuration(configId=config)
print("released", manage.list_enforced_guardrails_configuration()["guardrailsConfig"])
manage.delete_guardrail(guardrailIdentifier=arn)
try:
    manage.get_guardrail(guardrailIdentifier=arn)
except ClientError as error:
    print("deleted", error.response["Error"]["Code"])
