"""What travels to and from Bedrock: Converse's shape, and the models' own that `InvokeModel` carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import attributes as names
from ..recording import Call, as_json, given, listed, text_part
from .anthropic import Messages
from .clients import Endpoint

_PARAMETERS = {
    "temperature": names.REQUEST_TEMPERATURE,
    "topP": names.REQUEST_TOP_P,
    "top_p": names.REQUEST_TOP_P,
    "topK": names.REQUEST_TOP_K,
    "maxTokens": names.REQUEST_MAX_TOKENS,
    "max_new_tokens": names.REQUEST_MAX_TOKENS,
    "maxTokenCount": names.REQUEST_MAX_TOKENS,
}


class Fields(dict[str, Any]):
    """A JSON object whose fields read as attributes too, as those of a client's model classes do; None if absent."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.get(name)

    def to_dict(self) -> dict[str, Any]:
        return self


def body_format(model: str, body: Mapping[str, Any]) -> Endpoint:
    """How an `InvokeModel` body is read, told by its shape; by the model's name where shapes are shared."""
    if "embed" in model:
        return Embeddings()
    if "anthropic_version" in body:
        return Messages()
    if "inputText" in body:
        return TitanText()
    return Converse() if "inferenceConfig" in body or "nova" in model else Unread()


class Unread:
    """A body in a shape that we do not know: counted by Bedrock's headers, its texts left alone."""

    operation = "chat"

    def request(self, body: Mapping[str, Any], content: bool) -> dict[str, Any]:
        return {}

    def answer(self, call: Call, answer: Any) -> None:
        """Nothing to read."""

    def chunks(self, call: Call) -> Metrics:
        return Metrics(call)


class Metrics:
    """The counts that Bedrock adds to the last chunk, whatever the model."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def add(self, chunk: Any) -> None:
        found = chunk.get("amazon-bedrock-invocationMetrics") or {}
        for key, name in (("inputTokenCount", names.INPUT_TOKENS), ("outputTokenCount", names.OUTPUT_TOKENS)):
            if isinstance(found.get(key), int):
                self._call.attributes[name] = found[key]

    def finish(self) -> None:
        """Everything is written already."""


class Embeddings(Unread):
    """Counts only, as the texts are documents and the vectors are none."""

    operation = "embeddings"

    def request(self, body: Mapping[str, Any], content: bool) -> dict[str, Any]:
        return {names.EMBEDDING_DIMENSIONS: body["dimensions"]} if isinstance(body.get("dimensions"), int) else {}

    def answer(self, call: Call, answer: Any) -> None:
        if isinstance(answer.get("inputTextTokenCount"), int):
            call.attributes[names.INPUT_TOKENS] = answer["inputTextTokenCount"]


class Converse:
    """The Converse API; Nova's own bodies have the same shape."""

    operation = "chat"

    def request(self, body: Mapping[str, Any], content: bool) -> dict[str, Any]:
        config = body.get("inferenceConfig") or {}
        attributes = given(config, _PARAMETERS)
        if config.get("stopSequences"):
            attributes[names.REQUEST_STOP] = list(listed(config["stopSequences"]))
        if content:
            attributes[names.INPUT_MESSAGES] = as_json([_message(item) for item in listed(body.get("messages"))])
            if body.get("system"):
                attributes[names.SYSTEM_INSTRUCTIONS] = as_json([_part(block) for block in listed(body["system"])])
            tools = listed((body.get("toolConfig") or {}).get("tools"))
            if tools:
                attributes[names.TOOL_DEFINITIONS] = as_json([tool.get("toolSpec") or tool for tool in tools])
        return attributes

    def answer(self, call: Call, answer: Any) -> None:
        usage(call, answer.get("usage") or {})
        reason = answer.get("stopReason")
        call.attributes[names.FINISH_REASONS] = [reason or ""]
        message = (answer.get("output") or {}).get("message")
        if call.content and message:
            call.attributes[names.OUTPUT_MESSAGES] = as_json([{**_message(message), "finish_reason": reason}])

    def chunks(self, call: Call) -> ConverseEvents:
        return ConverseEvents(call)


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    parts = [_part(block) for block in listed(message.get("content"))]
    is_result = bool(parts) and parts[0]["type"] == "tool_call_response"
    return {"role": "tool" if is_result else message.get("role"), "parts": parts}


def _part(block: Mapping[str, Any]) -> dict[str, Any]:
    """Text as text; images and documents as their kind, since their bytes lie in the request itself."""
    if "text" in block:
        return text_part(block["text"])
    if "toolUse" in block:
        used = block["toolUse"]
        arguments = used.get("input") if used.get("input") is not None else {}
        return {"type": "tool_call", "id": used.get("toolUseId"), "name": used.get("name"), "arguments": arguments}
    if "toolResult" in block:
        result = block["toolResult"]
        return {"type": "tool_call_response", "id": result.get("toolUseId"), "response": _plain(result.get("content"))}
    if "reasoningContent" in block:
        thought = block["reasoningContent"]
        return {"type": "reasoning", "content": (thought.get("reasoningText") or thought).get("text")}
    for kind in ("image", "document", "video", "audio"):
        if kind in block:
            return {"type": "blob", "modality": kind, "content": f"[{(block[kind] or {}).get('format') or kind}]"}
    return {"type": next(iter(block), "unknown")}


def _plain(content: Any) -> Any:
    return [item.get("text", item.get("json", next(iter(item), None))) for item in listed(content)]


def usage(call: Call, counts: Mapping[str, Any]) -> None:
    """The wire's input tokens include what was read from and written to the cache; Bedrock's leave both out."""
    read = _first(counts, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = _first(counts, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    fresh = counts.get("inputTokens")
    if fresh is not None:
        call.attributes[names.INPUT_TOKENS] = fresh + (read or 0) + (written or 0)
    for name, value in (
        (names.CACHE_READ_TOKENS, read),
        (names.CACHE_WRITE_TOKENS, written),
        (names.OUTPUT_TOKENS, counts.get("outputTokens")),
    ):
        if value is not None:
            call.attributes[name] = value


def _first(counts: Mapping[str, Any], *keys: str) -> Any:
    return next((counts[key] for key in keys if counts.get(key) is not None), None)


class ConverseEvents:
    """The events of a Converse stream, by content block."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._texts: dict[int, list[str]] = {}
        self._kinds: dict[int, str] = {}
        self._tools: dict[int, Mapping[str, Any]] = {}
        self._reason: str | None = None

    def add(self, event: Any) -> None:
        if "contentBlockDelta" in event:
            self._add_delta(event["contentBlockDelta"])
        elif "contentBlockStart" in event:
            start = event["contentBlockStart"]
            tool = (start.get("start") or {}).get("toolUse")
            if tool:
                self._tools[start.get("contentBlockIndex") or 0] = tool
        elif "messageStop" in event:
            self._reason = event["messageStop"].get("stopReason")
        elif "metadata" in event:
            usage(self._call, event["metadata"].get("usage") or {})

    def _add_delta(self, event: Mapping[str, Any]) -> None:
        index, delta = event.get("contentBlockIndex") or 0, event.get("delta") or {}
        kind = next(iter(delta), "text")
        piece = delta.get("text") or (delta.get("toolUse") or {}).get("input")
        piece = piece or (delta.get("reasoningContent") or {}).get("text")
        if piece:
            self._kinds[index] = kind
            self._texts.setdefault(index, []).append(piece)

    def finish(self) -> None:
        if self._reason:
            self._call.attributes[names.FINISH_REASONS] = [self._reason]
        indexes = sorted({*self._texts, *self._tools})
        if self._call.content and indexes:
            parts = [self._block(index) for index in indexes]
            message = {"role": "assistant", "parts": parts, "finish_reason": self._reason}
            self._call.attributes[names.OUTPUT_MESSAGES] = as_json([message])

    def _block(self, index: int) -> dict[str, Any]:
        text = "".join(self._texts.get(index, ()))
        if index in self._tools:
            tool = self._tools[index]
            return {"type": "tool_call", "id": tool.get("toolUseId"), "name": tool.get("name"), "arguments": text}
        return {"type": "reasoning", "content": text} if self._kinds[index] == "reasoningContent" else text_part(text)


class TitanText:
    operation = "text_completion"

    def request(self, body: Mapping[str, Any], content: bool) -> dict[str, Any]:
        attributes = given(body.get("textGenerationConfig") or {}, _PARAMETERS)
        if content:
            message = {"role": "user", "parts": [text_part(body.get("inputText"))]}
            attributes[names.INPUT_MESSAGES] = as_json([message])
        return attributes

    def answer(self, call: Call, answer: Any) -> None:
        whole = self.chunks(call)
        results = listed(answer.get("results"))
        if results:
            counts = {"inputTextTokenCount": answer.get("inputTextTokenCount")}
            whole.add({**counts, **results[0], "totalOutputTextTokenCount": results[0].get("tokenCount")})
        whole.finish()

    def chunks(self, call: Call) -> TitanChunks:
        return TitanChunks(call)


class TitanChunks:
    def __init__(self, call: Call) -> None:
        self._call = call
        self._texts: list[str] = []
        self._reason: str | None = None

    def add(self, chunk: Any) -> None:
        self._texts.append(chunk.get("outputText") or "")
        self._reason = chunk.get("completionReason") or self._reason
        counts = (("inputTextTokenCount", names.INPUT_TOKENS), ("totalOutputTextTokenCount", names.OUTPUT_TOKENS))
        for key, name in counts:
            if isinstance(chunk.get(key), int):
                self._call.attributes[name] = chunk[key]

    def finish(self) -> None:
        reason = {"FINISH": "stop", "FINISHED": "stop"}.get(self._reason or "", self._reason)
        if reason:
            self._call.attributes[names.FINISH_REASONS] = [reason.lower()]
        if self._call.content:
            message = {"role": "assistant", "parts": [text_part("".join(self._texts))], "finish_reason": reason}
            self._call.attributes[names.OUTPUT_MESSAGES] = as_json([message])
