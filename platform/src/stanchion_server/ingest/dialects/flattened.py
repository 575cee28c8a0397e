"""Content that was flattened over dotted indices (`llm.input_messages.0.message.role`), rebuilt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stanchion_server.ingest.dialects.chat import read_message
from stanchion_server.ingest.dialects.loose import structure
from stanchion_server.ingest.messages import Message

_MAX_DEPTH = 12


def rebuild(pairs: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of dotted keys; numbers stay keys, `ordered` turns them into lists."""
    root: dict[str, Any] = {}
    for key, value in pairs.items():
        steps = key.split(".", _MAX_DEPTH)
        node = root
        for step in steps[:-1]:
            inner = node.get(step)
            if not isinstance(inner, dict):
                inner = node[step] = {}
            node = inner
        if not isinstance(node.get(steps[-1]), dict):
            node[steps[-1]] = value
    return root


def ordered(tree: Any) -> list[Any]:
    """The items of a tree whose keys are indices, in their order."""
    if not isinstance(tree, dict):
        return tree if isinstance(tree, list) else []
    keys = sorted((key for key in tree if key.isdecimal() and len(key) < 10), key=int)
    return [tree[key] for key in keys]


def messages(tree: dict[str, Any]) -> list[Message]:
    """Legacy OpenLLMetry: `{i}.role`, `{i}.content`, `{i}.tool_calls.{k}.name`."""
    return [_traceloop(item, "user") for item in ordered(tree) if isinstance(item, dict)]


def choices(tree: dict[str, Any]) -> list[Message]:
    return [_traceloop(item, "assistant") for item in ordered(tree) if isinstance(item, dict)]


def _traceloop(item: dict[str, Any], role: str) -> Message:
    calls = ordered(item.get("tool_calls"))
    content = item.get("content")
    if isinstance(content, str) and content[:2] in ("[{", "[]"):
        content = structure(content)
    return read_message({**item, "content": content, "tool_calls": calls}, role)


def openinference_input(tree: dict[str, Any]) -> list[Message]:
    return [_openinference(item, "user") for item in ordered(tree) if isinstance(item, dict)]


def openinference_output(tree: dict[str, Any]) -> list[Message]:
    return [_openinference(item, "assistant") for item in ordered(tree) if isinstance(item, dict)]


def _openinference(item: dict[str, Any], role: str) -> Message:
    inner = item.get("message")
    found = dict(inner) if isinstance(inner, dict) else item
    if "contents" in found:
        blocks = [block for block in ordered(found["contents"]) if isinstance(block, dict)]
        inner_blocks = [block.get("message_content", block) for block in blocks if "tool_call" not in block]
        found["content"] = [_block(block) for block in inner_blocks if isinstance(block, dict)]
        # Some clients tell a tool call twice, in the message and among its contents; others only there.
        calls_inside = {str(place): block for place, block in enumerate(blocks) if "tool_call" in block}
        found.setdefault("tool_calls", calls_inside)
    calls = [call.get("tool_call", call) for call in ordered(found.get("tool_calls")) if isinstance(call, dict)]
    found["tool_calls"] = calls
    if "function_call_name" in found:
        call = {"name": found["function_call_name"], "arguments": found.get("function_call_arguments_json")}
        found["function_call"] = call
    return read_message(found, role)


def _block(block: dict[str, Any]) -> dict[str, Any]:
    image = block.get("image")
    if isinstance(image, dict):
        inner = image.get("image", image)
        return {"type": "image", "url": inner.get("url") if isinstance(inner, dict) else inner}
    return block


def completions(tree: dict[str, Any]) -> list[Message]:
    """OpenInference `llm.prompts.{i}.prompt.text` and `llm.choices.{i}.completion.text`."""
    found: list[Message] = []
    for item in ordered(tree):
        for role, key in (("user", "prompt"), ("assistant", "completion")):
            inner = item.get(key) if isinstance(item, dict) else None
            if isinstance(inner, dict) and isinstance(inner.get("text"), str):
                found.append({"role": role, "parts": [{"type": "text", "text": inner["text"]}]})
    return found


def embeddings(tree: dict[str, Any]) -> list[Message]:
    """The texts of `{i}.embedding.text`; vectors are not content."""
    inner = [item.get("embedding") for item in ordered(tree) if isinstance(item, dict)]
    texts = [item["text"] for item in inner if isinstance(item, dict) and isinstance(item.get("text"), str)]
    return [{"role": "user", "parts": [{"type": "text", "text": text}]} for text in texts]


def tools(tree: dict[str, Any]) -> list[Any]:
    found = []
    for item in ordered(tree):
        inner = item.get("tool", item) if isinstance(item, dict) else item
        schema = inner.get("json_schema", inner) if isinstance(inner, dict) else inner
        found.append({k: structure(v) for k, v in schema.items()} if isinstance(schema, dict) else structure(schema))
    return found


def documents(tree: dict[str, Any]) -> list[Any]:
    inner = [item.get("document", item) for item in ordered(tree) if isinstance(item, dict)]
    return [{**item, **_metadata(item)} for item in inner if isinstance(item, dict)]


def _metadata(item: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": structure(item["metadata"])} if "metadata" in item else {}
