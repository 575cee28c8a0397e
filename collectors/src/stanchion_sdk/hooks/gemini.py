"""Gemini's JSON, as google-genai sends and receives it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from .. import attributes as names
from ..recording import Call, as_json, given, listed, text_part

_PARAMETERS = {
    "temperature": names.REQUEST_TEMPERATURE,
    "topP": names.REQUEST_TOP_P,
    "topK": names.REQUEST_TOP_K,
    "maxOutputTokens": names.REQUEST_MAX_TOKENS,
    "candidateCount": names.REQUEST_CHOICES,
    "seed": names.REQUEST_SEED,
    "frequencyPenalty": names.REQUEST_FREQUENCY_PENALTY,
    "presencePenalty": names.REQUEST_PRESENCE_PENALTY,
}


class Content:
    operation = "generate_content"

    def request(self, body: Mapping[str, Any], content: bool) -> dict[str, Any]:
        config = body.get("generationConfig") or {}
        attributes = given(config, _PARAMETERS)
        if config.get("stopSequences"):
            attributes[names.REQUEST_STOP] = list(listed(config["stopSequences"]))
        if content:
            attributes[names.INPUT_MESSAGES] = as_json([_turn(turn) for turn in listed(body.get("contents"))])
            system = body.get("systemInstruction")
            if system:
                attributes[names.SYSTEM_INSTRUCTIONS] = as_json(_parts(system))
            declared = [item for tool in listed(body.get("tools")) for item in listed(tool.get("functionDeclarations"))]
            if declared:
                attributes[names.TOOL_DEFINITIONS] = as_json(declared)
        return attributes

    def answer(self, call: Call, answer: Any) -> None:
        whole = self.chunks(call)
        whole.add_json(answer)
        whole.finish()

    def chunks(self, call: Call) -> ContentChunks:
        return ContentChunks(call)


def _turn(turn: Mapping[str, Any]) -> dict[str, Any]:
    parts = _parts(turn)
    role = "assistant" if turn.get("role") == "model" else turn.get("role") or "user"
    return {"role": "tool" if parts and parts[0]["type"] == "tool_call_response" else role, "parts": parts}


def _parts(turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [_part(part) for part in listed(turn.get("parts"))]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    """Text as text; images and files by address, or by size where they lie in the request itself."""
    if "text" in part:
        return {"type": "reasoning", "content": part["text"]} if part.get("thought") else text_part(part["text"])
    if "functionCall" in part:
        called = part["functionCall"]
        return {
            "type": "tool_call",
            "id": called.get("id"),
            "name": called.get("name"),
            "arguments": called.get("args") or {},
        }
    if "functionResponse" in part:
        result = part["functionResponse"]
        return {"type": "tool_call_response", "id": result.get("id"), "response": result.get("response")}
    for key, source in part.items():
        if isinstance(source, Mapping) and "mimeType" in source:
            modality = str(source["mimeType"]).partition("/")[0]
            if "fileUri" in source:
                return {"type": "uri", "modality": modality, "uri": source["fileUri"]}
            size = len(str(source.get("data") or ""))
            return {"type": "blob", "modality": modality, "content": f"[{size} characters]"}
        if isinstance(source, Mapping):
            return {"type": key}
    return {"type": "unknown"}


def usage(call: Call, counts: Mapping[str, Any]) -> None:
    """Gemini counts thoughts and what tools put into the prompt beside the rest; the wire's totals include both."""
    prompt, answered = counts.get("promptTokenCount"), counts.get("candidatesTokenCount")
    thoughts = counts.get("thoughtsTokenCount")
    if prompt is not None:
        call.attributes[names.INPUT_TOKENS] = prompt + (counts.get("toolUsePromptTokenCount") or 0)
    if answered is not None or thoughts is not None:
        call.attributes[names.OUTPUT_TOKENS] = (answered or 0) + (thoughts or 0)
    for name, value in (
        (names.CACHE_READ_TOKENS, counts.get("cachedContentTokenCount")),
        (names.REASONING_TOKENS, thoughts),
    ):
        if value is not None:
            call.attributes[name] = value


class ContentChunks:
    """Chunks of a stream, each a whole answer's shape; the last usage counts, as it covers what came before."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._parts: dict[int, list[dict[str, Any]]] = {}
        self._reasons: dict[int, str] = {}
        self._usage: Mapping[str, Any] = {}

    def add(self, chunk: Any) -> None:
        self.add_json(json.loads(chunk.body))

    def add_json(self, chunk: Mapping[str, Any]) -> None:
        attributes = self._call.attributes
        if names.RESPONSE_ID not in attributes and chunk.get("responseId"):
            attributes[names.RESPONSE_ID] = chunk["responseId"]
        if names.RESPONSE_MODEL not in attributes and chunk.get("modelVersion"):
            attributes[names.RESPONSE_MODEL] = chunk["modelVersion"]
        self._usage = chunk.get("usageMetadata") or self._usage
        blocked = (chunk.get("promptFeedback") or {}).get("blockReason")
        if blocked:
            self._reasons[0] = str(blocked).lower()
        for candidate in chunk.get("candidates") or ():
            index = candidate.get("index") or 0
            if candidate.get("finishReason"):
                self._reasons[index] = str(candidate["finishReason"]).lower()
            if self._call.content:
                self._parts.setdefault(index, []).extend((candidate.get("content") or {}).get("parts") or ())

    def finish(self) -> None:
        usage(self._call, self._usage)
        if self._reasons:
            self._call.attributes[names.FINISH_REASONS] = [self._reasons[index] for index in sorted(self._reasons)]
        if self._parts:
            messages = [
                {
                    "role": "assistant",
                    "parts": _joined(_part(part) for part in parts),
                    "finish_reason": self._reasons.get(index),
                }
                for index, parts in sorted(self._parts.items())
            ]
            self._call.attributes[names.OUTPUT_MESSAGES] = as_json(messages)


def _joined(parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Neighbouring pieces of one text as one part."""
    joined: list[dict[str, Any]] = []
    texts: list[str] = []
    for part in parts:
        if part["type"] not in ("text", "reasoning"):
            texts = []
            joined.append(part)
        elif texts and joined[-1]["type"] == part["type"]:
            texts.append(str(part["content"]))
            joined[-1]["content"] = texts
        else:
            texts = [str(part["content"])]
            joined.append({"type": part["type"], "content": texts})
    for part in joined:
        if part["type"] in ("text", "reasoning"):
            part["content"] = "".join(part["content"])
    return joined


class Embeddings:
    """Counts only, as the texts are documents and the vectors are none."""

    operation = "embeddings"

    def request(self, body: Mapping[str, Any], content: bool) -> dict[str, Any]:
        first = next(iter(listed(body.get("requests"))), body)
        size = first.get("outputDimensionality")
        return {names.EMBEDDING_DIMENSIONS: size} if isinstance(size, int) else {}

    def answer(self, call: Call, answer: Any) -> None:
        usage(call, answer.get("usageMetadata") or {})

    def chunks(self, call: Call) -> ContentChunks:
        return ContentChunks(call)


class Prediction(Embeddings):
    """Vertex embeds through `predict`, which also serves images; tokens are counted for each text."""

    @staticmethod
    def is_text(body: Mapping[str, Any]) -> bool:
        return any("content" in item for item in listed(body.get("instances")) if isinstance(item, Mapping))

    def request(self, body: Mapping[str, Any], content: bool) -> dict[str, Any]:
        size = (body.get("parameters") or {}).get("outputDimensionality")
        return {names.EMBEDDING_DIMENSIONS: size} if isinstance(size, int) else {}

    def answer(self, call: Call, answer: Any) -> None:
        counts = [
            ((item.get("embeddings") or {}).get("statistics") or {}).get("token_count")
            for item in answer.get("predictions") or ()
        ]
        known = [count for count in counts if count is not None]
        if known and len(known) == len(counts):
            call.attributes[names.INPUT_TOKENS] = int(sum(known))
