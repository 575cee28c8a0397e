"""openai 1.x to 3.x and its compatible servers: chat completions, responses, embeddings, legacy completions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from .. import attributes as names
from ..recording import Call, Recorder, as_json, given, listed, messages_json, text_message, text_part
from .clients import ClientHook, Endpoint
from .imports import when_imported

_PARAMETERS = {
    "temperature": names.REQUEST_TEMPERATURE,
    "top_p": names.REQUEST_TOP_P,
    "max_tokens": names.REQUEST_MAX_TOKENS,
    "max_completion_tokens": names.REQUEST_MAX_TOKENS,
    "max_output_tokens": names.REQUEST_MAX_TOKENS,
    "seed": names.REQUEST_SEED,
    "n": names.REQUEST_CHOICES,
    "frequency_penalty": names.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": names.REQUEST_PRESENCE_PENALTY,
    "service_tier": names.REQUEST_SERVICE_TIER,
    "dimensions": names.EMBEDDING_DIMENSIONS,
}
# Names of the OTel GenAI conventions for servers that speak OpenAI's protocol.
_PROVIDERS = {
    "azure.com": "azure.ai.openai",
    "groq.com": "groq",
    "deepseek.com": "deepseek",
    "mistral.ai": "mistral_ai",
    "x.ai": "x_ai",
    "perplexity.ai": "perplexity",
    "openrouter.ai": "openrouter",
    "together.xyz": "together_ai",
    "googleapis.com": "gcp.gemini",
}
_VARIANTS = {".lib.azure ": "azure.ai.openai", ".lib.bedrock ": "aws.bedrock"}


def install(recorder: Callable[[], Recorder | None]) -> None:
    endpoints: dict[str, Endpoint] = {
        "/chat/completions": Chat(),
        "/responses": Responses(),
        "/embeddings": Embeddings(),
        "/completions": TextCompletion(),
    }

    def patch(module: ModuleType) -> None:
        ClientHook(recorder, endpoints, provider_of, _VARIANTS).install(module.SyncAPIClient, module.AsyncAPIClient)

    when_imported("openai._base_client", patch)


def provider_of(host: str) -> str:
    return next((name for end, name in _PROVIDERS.items() if host.endswith(end)), "openai")


class Chat:
    operation = "chat"

    def request(self, body: Mapping[str, Any], content: bool) -> dict[str, Any]:
        attributes = given(body, _PARAMETERS)
        stop = body.get("stop")
        if stop:
            attributes[names.REQUEST_STOP] = [stop] if isinstance(stop, str) else list(listed(stop))
        if content:
            attributes[names.INPUT_MESSAGES] = messages_json(listed(body.get("messages")), input_message)
            if body.get("tools"):
                attributes[names.TOOL_DEFINITIONS] = as_json(body["tools"])
        return attributes

    def answer(self, call: Call, answer: Any) -> None:
        choices = answer.choices or ()
        _head(call, answer)
        call.attributes[names.FINISH_REASONS] = [choice.finish_reason or "" for choice in choices]
        usage(call, answer.usage)
        if call.content:
            call.attributes[names.OUTPUT_MESSAGES] = _outputs_json(choices)

    def chunks(self, call: Call) -> ChatChunks:
        return ChatChunks(call)


def input_message(message: Any) -> dict[str, Any]:
    """A chat message as role and parts; what is no mapping is shown as it is."""
    if not isinstance(message, Mapping):
        return {"role": "unknown", "parts": [text_part(message)]}
    role, content = message.get("role"), message.get("content")
    if role == "tool":
        return {
            "role": role,
            "parts": [{"type": "tool_call_response", "id": message.get("tool_call_id"), "response": content}],
        }
    parts = [text_part(content)] if isinstance(content, str) else [_part(part) for part in listed(content)]
    for tool_call in listed(message.get("tool_calls")):
        function = tool_call.get("function") or {}
        parts.append(_tool_call(tool_call.get("id"), function.get("name"), function.get("arguments")))
    return {"role": role, "parts": parts}


def _part(part: Any) -> dict[str, Any]:
    """Text as text; images and files by address, or by size where they lie in the request itself."""
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in ("text", "input_text", "output_text", "refusal"):
        return text_part(part.get("text") or part.get("refusal"))
    if kind in ("image_url", "input_image"):
        image = part.get("image_url")
        address = image.get("url") if isinstance(image, Mapping) else image
        if isinstance(address, str) and not address.startswith("data:"):
            return {"type": "uri", "modality": "image", "uri": address}
        return {"type": "blob", "modality": "image", "content": f"[{len(address or '')} characters]"}
    return {"type": str(kind)} if kind else text_part(part)


def _tool_call(call_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    return {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}


def _outputs_json(choices: Sequence[Any]) -> str:
    if len(choices) == 1 and not choices[0].message.tool_calls:
        message = text_message(choices[0].message.role, choices[0].message.content)
        if message is not None:
            return f'[{message},"finish_reason":{as_json(choices[0].finish_reason)}}}]'
    return as_json([_output_message(choice) for choice in choices])


def _output_message(choice: Any) -> dict[str, Any]:
    message = choice.message
    text = message.content or message.refusal
    parts = [text_part(text)] if text else []
    for tool_call in message.tool_calls or ():
        function = getattr(tool_call, "function", None) or getattr(tool_call, "custom", None)
        arguments = getattr(function, "arguments", None) or getattr(function, "input", None)
        parts.append(_tool_call(tool_call.id, getattr(function, "name", None), arguments))
    return {"role": message.role, "parts": parts, "finish_reason": choice.finish_reason}


def _head(call: Call, answer: Any) -> None:
    call.attributes[names.RESPONSE_ID] = answer.id
    call.attributes[names.RESPONSE_MODEL] = answer.model
    tier = getattr(answer, "service_tier", None)
    if tier:
        call.attributes[names.RESPONSE_SERVICE_TIER] = tier


def usage(call: Call, counts: Any) -> None:
    """Chat's and Responses' usage objects; a detail that the server left out stays unknown and is not made 0."""
    if counts is None:
        return
    prompt = getattr(counts, "prompt_tokens", None)
    chat = prompt is not None
    values = {
        names.INPUT_TOKENS: prompt if chat else getattr(counts, "input_tokens", None),
        names.OUTPUT_TOKENS: getattr(counts, "completion_tokens" if chat else "output_tokens", None),
    }
    details = getattr(counts, "prompt_tokens_details" if chat else "input_tokens_details", None)
    values[names.CACHE_READ_TOKENS] = getattr(details, "cached_tokens", None)
    details = getattr(counts, "completion_tokens_details" if chat else "output_tokens_details", None)
    values[names.REASONING_TOKENS] = getattr(details, "reasoning_tokens", None)
    call.attributes.update((name, value) for name, value in values.items() if value is not None)


class ChatChunks:
    """Gathers deltas by choice; costs about a microsecond a chunk."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._head: Any = None
        self._usage: Any = None
        self._texts: dict[int, list[str]] = {}
        self._tools: dict[int, dict[int, dict[str, Any]]] = {}
        self._reasons: dict[int, str] = {}

    def add(self, chunk: Any) -> None:
        if self._head is None:
            self._head = chunk
        for choice in chunk.choices:
            delta = choice.delta
            if delta.content:
                self._texts.setdefault(choice.index, []).append(delta.content)
            if delta.tool_calls:
                self._add_tools(choice.index, delta.tool_calls)
            if choice.finish_reason:
                self._reasons[choice.index] = choice.finish_reason
        if chunk.usage:
            self._usage = chunk.usage

    def _add_tools(self, index: int, deltas: Any) -> None:
        tools = self._tools.setdefault(index, {})
        for delta in deltas:
            tool = tools.setdefault(delta.index, _tool_call(None, None, ""))
            function = delta.function
            tool["id"] = delta.id or tool["id"]
            if function is not None:
                tool["name"] = function.name or tool["name"]
                tool["arguments"] += function.arguments or ""

    def finish(self) -> None:
        if self._head is None:
            return
        _head(self._call, self._head)
        choices = sorted({*self._texts, *self._tools, *self._reasons})
        if self._reasons:
            self._call.attributes[names.FINISH_REASONS] = [self._reasons.get(index, "") for index in choices]
        usage(self._call, self._usage)
        if self._call.content:
            self._call.attributes[names.OUTPUT_MESSAGES] = as_json([self._message(index) for index in choices])

    def _message(self, index: int) -> dict[str, Any]:
        text = "".join(self._texts.get(index, ()))
        parts = [text_part(text)] if text else []
        parts += self._tools.get(index, {}).values()
        return {"role": "assistant", "parts": parts, "finish_reason": self._reasons.get(index)}


class Responses:
    operation = "chat"

    def request(self, body: Mapping[str, Any], content: bool) -> dict[str, Any]:
        attributes = given(body, _PARAMETERS)
        if content:
            given_input = body.get("input")
            items = [{"role": "user", "content": given_input}] if isinstance(given_input, str) else listed(given_input)
            attributes[names.INPUT_MESSAGES] = messages_json(items, _input_item)
            if isinstance(body.get("instructions"), str):
                attributes[names.SYSTEM_INSTRUCTIONS] = as_json([text_part(body["instructions"])])
            if body.get("tools"):
                attributes[names.TOOL_DEFINITIONS] = as_json(body["tools"])
        return attributes

    def answer(self, call: Call, answer: Any) -> None:
        _head(call, answer)
        usage(call, answer.usage)
        details = getattr(answer, "incomplete_details", None)
        reason = getattr(details, "reason", None) or ("stop" if answer.status == "completed" else answer.status)
        call.attributes[names.FINISH_REASONS] = [reason or ""]
        if call.content:
            parts = [part for item in answer.output or () for part in _output_item(item)]
            call.attributes[names.OUTPUT_MESSAGES] = as_json(
                [{"role": "assistant", "parts": parts, "finish_reason": reason}]
            )

    def chunks(self, call: Call) -> ResponseEvents:
        return ResponseEvents(call, self)


def _input_item(item: Any) -> dict[str, Any]:
    kind = item.get("type") if isinstance(item, Mapping) else None
    if kind == "function_call":
        return {
            "role": "assistant",
            "parts": [_tool_call(item.get("call_id"), item.get("name"), item.get("arguments"))],
        }
    if kind == "function_call_output":
        response = {"type": "tool_call_response", "id": item.get("call_id"), "response": item.get("output")}
        return {"role": "tool", "parts": [response]}
    return input_message(item)


def _output_item(item: Any) -> list[dict[str, Any]]:
    if item.type == "message":
        return [text_part(getattr(part, "text", None) or getattr(part, "refusal", None)) for part in item.content]
    if item.type == "function_call":
        return [_tool_call(item.call_id, item.name, item.arguments)]
    if item.type == "reasoning":
        return [{"type": "reasoning", "content": part.text} for part in item.summary or ()]
    return [{"type": item.type}]


class ResponseEvents:
    """A response stream ends with an event that carries the whole response; until then deltas stand in for it."""

    def __init__(self, call: Call, endpoint: Responses) -> None:
        self._call = call
        self._endpoint = endpoint
        self._started: Any = None
        self._whole: Any = None
        self._texts: list[str] = []

    def add(self, event: Any) -> None:
        kind = event.type
        if kind == "response.output_text.delta":
            self._texts.append(event.delta)
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            self._whole = event.response
        elif kind == "response.created":
            self._started = event.response

    def finish(self) -> None:
        if self._whole is not None:
            self._endpoint.answer(self._call, self._whole)
            return
        if self._started is not None:
            _head(self._call, self._started)
        if self._call.content and self._texts:
            message = {"role": "assistant", "parts": [text_part("".join(self._texts))], "finish_reason": None}
            self._call.attributes[names.OUTPUT_MESSAGES] = as_json([message])


class Embeddings:
    """Counts only: what is embedded is a document, not a conversation, and the vectors are no text."""

    operation = "embeddings"

    def request(self, body: Mapping[str, Any], content: bool) -> dict[str, Any]:
        return given(body, _PARAMETERS)

    def answer(self, call: Call, answer: Any) -> None:
        call.attributes[names.RESPONSE_MODEL] = answer.model
        if answer.usage is not None:
            call.attributes[names.INPUT_TOKENS] = answer.usage.prompt_tokens

    def chunks(self, call: Call) -> ChatChunks:
        return ChatChunks(call)


class TextCompletion(Chat):
    operation = "text_completion"

    def request(self, body: Mapping[str, Any], content: bool) -> dict[str, Any]:
        prompt = body.get("prompt")
        return super().request({**body, "messages": [{"role": "user", "content": prompt}] if prompt else []}, content)

    def answer(self, call: Call, answer: Any) -> None:
        _head(call, answer)
        usage(call, answer.usage)
        call.attributes[names.FINISH_REASONS] = [choice.finish_reason or "" for choice in answer.choices]
        if call.content:
            messages = [{"role": "assistant", "parts": [text_part(choice.text)]} for choice in answer.choices]
            call.attributes[names.OUTPUT_MESSAGES] = as_json(messages)
