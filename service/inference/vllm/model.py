"""vLLM's engine inside this process, as a `TokenModel`; its processes are begun and ended in `vllm_processes`."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

import numpy as np
from PIL import Image
from vllm.exceptions import GracefulHTTPError, VLLMClientError, VLLMError
from vllm.lora.request import LoRARequest
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.renderers.inputs.preprocess import parse_model_prompt
from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError as VllmDeadError

from service.core.errors import EngineDeadError, FatalError
from service.inference.errors import (
    EngineConfigurationError,
    EngineFailedError,
    EngineNotRunningError,
    EngineRejectedError,
    UnknownAdapterError,
)
from service.inference.vision.asking_trace import record_token_counts
from service.inference.vision.patch import PATCH
from service.inference.vision.prompt import Prompt
from service.inference.vision.token_model import GeneratedText, ModelFacts, ModelRequest
from service.inference.vllm.chat import VllmChat
from service.inference.vllm.chat_tokens import ChatTokens, tokenizer_chat
from service.inference.vllm.error_text import error_line
from service.inference.vllm.facts import model_facts
from service.inference.vllm.processes import VllmProcesses
from service.inference.vllm.trace_context import trace_headers
from service.inference.vllm.watchdog import Watchdog
from service.settings.vllm import VllmSettings, adapter_name, adapter_path

_ATTEMPTS = 2
"""An engine that lost an image from its cache says so by a failed answer, and has it again with the second request."""

_GRACE_S = 5.0
"""Time for cancelled requests to end, which takes some turns of the event loop."""

_ANSWERED = frozenset({"stop", "length"})


class VllmModel:
    """A Qwen3-VL in vLLM, which runs in separate processes."""

    def __init__(
        self,
        settings: VllmSettings,
        *,
        stall_s: float,
        on_failure: Callable[[FatalError], None],
        traces_url: str | None = None,
        chat_images: int = 0,
    ) -> None:
        """`on_failure` is called when the model dies or hangs, even with nothing in flight.

        `traces_url` is where vLLM sends a span of its own for each request, beneath ours; None for none. `chat_images`
        are the most images of one chat; 0 does without chats.
        """
        self._settings = settings
        self._processes = VllmProcesses(settings, traces_url=traces_url, images=max(1, chat_images))
        self.chat = VllmChat(settings, self._adapter_for_chat) if chat_images else None
        self._stall_s = stall_s
        self._on_failure = on_failure
        self._adapters = {
            adapter_name(text): LoRARequest(adapter_name(text), number, adapter_path(text))
            for number, text in enumerate(settings.adapters, start=1)
        }
        self._added: dict[str, LoRARequest] = {}
        self._adding = asyncio.Lock()
        self._engine: AsyncLLM | None = None
        self._chat: ChatTokens | None = None
        self._watchdog = self._closed_watchdog()
        self._watch: asyncio.Task[None] | None = None

    def is_reachable(self) -> bool:
        """Return True: an engine that dies or hangs ends the process."""
        return True

    async def start(self) -> ModelFacts:
        """Load the model, compare its chat template with the prompts, and ask it once.

        Raises `EngineConfigurationError` if it cannot be loaded in time, or was trained on another form of chat.
        """
        engine = await self._processes.start()
        self._engine = engine
        self._chat = tokenizer_chat(engine.get_tokenizer())
        self._watchdog = Watchdog(stall_s=self._stall_s, is_dead=lambda: engine.errored, on_failure=self._on_failure)
        await self._answer_once(self._chat)
        self._watch = asyncio.create_task(self._watchdog.watch(), name="engine-watchdog")
        if self.chat is not None:
            self.chat.open(engine, self._watchdog)
        return await model_facts(engine, self._settings)

    async def prepare(
        self, adapter: str | None, words: Sequence[str], largest: ModelRequest | None = None
    ) -> Mapping[str, int]:
        """Load an adapter into the engine, and return the token that each word begins with as an answer.

        Raises `EngineConfigurationError` if the engine refuses the largest question.
        """
        engine, chat = self._running()
        if adapter is not None:
            await self._add(engine, adapter)
        tokens = {word: chat.first_token(word) for word in words}
        if largest is not None:
            await self._try_largest(chat, largest, tokens)
        return tokens

    async def _try_largest(self, chat: ChatTokens, largest: ModelRequest, tokens: Mapping[str, int]) -> None:
        try:
            await self.read(largest, tokens)
        except EngineRejectedError as error:
            given = len(chat.prompt(largest.prompt))
            height, width = largest.pixels.shape[:2]
            detail = (
                f"the largest question of a policy has {given} tokens of text and {height * width // PATCH**2} of an "
                f"image, and the engine refuses it ({error}): raise it, or shorten the policy"
            )
            raise EngineConfigurationError(setting="engine.vllm.max_model_len", detail=detail) from error

    async def read(self, ask: ModelRequest, words: Mapping[str, int]) -> Mapping[str, float]:
        """Generate one token; return the natural log-probability, over the whole vocabulary, of each word's token."""
        params = SamplingParams(
            max_tokens=1,
            temperature=0.0,
            logprob_token_ids=sorted(set(words.values())),
            output_kind=RequestOutputKind.FINAL_ONLY,
            detokenize=False,
        )
        output = await self._ask(ask, params)
        if not output.logprobs:
            raise EngineFailedError(detail="an answer without probabilities")
        found = output.logprobs[0]
        return {word: found[token].logprob for word, token in words.items()}

    async def write(self, ask: ModelRequest, json_schema: Mapping[str, Any], *, max_tokens: int) -> GeneratedText:
        """Generate JSON text of the schema without white space; cut off at `max_tokens`."""
        params = SamplingParams(
            max_tokens=max_tokens,
            temperature=0.0,
            structured_outputs=StructuredOutputsParams(json=dict(json_schema)),
            logprobs=0,  # only of what it wrote: the schema's mask is laid on before they are taken
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        return _written(await self._ask(ask, params))

    async def stop(self) -> None:
        """End the engine's processes, even if they hang; requests in flight end with `EngineNotRunningError`."""
        self._watchdog.close(EngineNotRunningError())
        if self.chat is not None:
            self.chat.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await self._watchdog.wait_until_idle()  # requests that are given up still talk to the engine
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        engine, self._engine, self._chat, self._watch = self._engine, None, None, None
        self._added.clear()
        await self._processes.stop(engine)

    async def _ask(self, ask: ModelRequest, params: SamplingParams) -> CompletionOutput:
        engine, chat = self._running()
        self._check_size(ask)
        ids = chat.prompt(ask.prompt)
        async with self._watchdog.watched():
            for _ in range(_ATTEMPTS):
                output = await self._generate(engine, ask, ids, params)
                if output.finish_reason in _ANSWERED:
                    self._watchdog.answered()
                    return output
        raise EngineFailedError(detail=f"it ended its answer with {output.finish_reason!r}, twice")

    async def _generate(
        self, engine: AsyncLLM, ask: ModelRequest, ids: list[int], params: SamplingParams
    ) -> CompletionOutput:
        try:
            inputs = await _render(engine, ask, ids)
            answers = engine.generate(
                inputs,
                params,
                ask.request_id,
                lora_request=self._adapter(ask.adapter),
                trace_headers=await trace_headers(engine),
            )
            async with aclosing(answers):
                async for answer in answers:
                    return _only_output(answer)
        except VllmDeadError as error:
            self._watchdog.fail(EngineDeadError(detail="its process ended"))
            raise EngineDeadError(detail="its process ended") from error
        except (VLLMClientError, ValueError, TypeError) as error:
            raise EngineRejectedError(detail=error_line(error)) from error
        except (GracefulHTTPError, VLLMError) as error:
            raise EngineFailedError(detail=error_line(error)) from error
        raise EngineFailedError(detail="no answer")

    def _check_size(self, ask: ModelRequest) -> None:
        """Refuse what the engine would shrink without a word."""
        height, width = ask.pixels.shape[:2]
        limit = self._settings.max_vision_tokens
        if height * width > limit * PATCH**2:
            detail = f"{width} × {height} pixels take more than {limit} vision tokens (engine.vllm.max_vision_tokens)"
            raise EngineRejectedError(detail=detail)

    def _adapter(self, name: str | None) -> LoRARequest | None:
        if name is None:
            return None
        try:
            return self._added[name]
        except KeyError:
            raise UnknownAdapterError(name=name, detail="it was not prepared") from None

    async def _adapter_for_chat(self, name: str) -> LoRARequest:
        engine, _ = self._running()
        await self._add(engine, name)
        return self._added[name]

    async def _add(self, engine: AsyncLLM, name: str) -> None:
        if name not in self._adapters:
            known = ", ".join(self._adapters) or "none"
            raise UnknownAdapterError(name=name, detail=f"engine.vllm.adapters names {known}")
        async with self._adding, self._watchdog.watched():
            if name in self._added:
                return
            try:
                await engine.add_lora(self._adapters[name])
            except VllmDeadError as error:
                raise EngineDeadError(detail=f"it ended while it loaded the adapter {name!r}") from error
            except Exception as error:  # what its process raised comes back as a plain Exception
                raise UnknownAdapterError(name=name, detail=f"engine.vllm.adapters: {error_line(error)}") from error
            self._added[name] = self._adapters[name]

    def _running(self) -> tuple[AsyncLLM, ChatTokens]:
        if self._engine is None or self._chat is None:
            raise EngineNotRunningError
        return self._engine, self._chat

    async def _answer_once(self, chat: ChatTokens) -> None:
        """Take the time that the first answer takes, much more than others, before it is measured."""
        limit_s = self._settings.startup_timeout_s
        side = PATCH * math.ceil(math.sqrt(self._settings.min_vision_tokens))
        pixels = np.zeros((side, side, 3), np.uint8)
        ask = ModelRequest("first", Prompt("", "Answer A."), pixels, image_key="first", adapter=None)
        try:
            async with asyncio.timeout(limit_s):
                await self.read(ask, {"A": chat.first_token("A")})
        except TimeoutError:
            detail = f"the first answer takes longer than {limit_s:g} s"
            raise EngineConfigurationError(setting="engine.vllm.startup_timeout_s", detail=detail) from None

    def _closed_watchdog(self) -> Watchdog:
        watchdog = Watchdog(stall_s=self._stall_s, is_dead=lambda: False, on_failure=self._on_failure)
        watchdog.close(EngineNotRunningError())
        return watchdog


def _written(output: CompletionOutput) -> GeneratedText:
    steps = zip(output.token_ids, output.logprobs or (), strict=False)
    chosen = [step[token] for token, step in steps]
    if output.finish_reason == "stop":
        chosen.pop()  # the token that ends the answer, which is no part of the text
    return GeneratedText(output.text, [(each.decoded_token or "", each.logprob) for each in chosen])


def _only_output(answer: RequestOutput) -> CompletionOutput:
    """Return the only output of an answer, and record its token counts."""
    output = answer.outputs[0]
    given = len(answer.prompt_token_ids or ())
    record_token_counts(given=given, cached=answer.num_cached_tokens, generated=len(output.token_ids))
    return output


async def _render(engine: AsyncLLM, ask: ModelRequest, ids: list[int]) -> Any:
    """Prepare an image and its prompt for the engine, on the engine's thread for that."""
    prompt = {
        "prompt_token_ids": ids,
        "multi_modal_data": {"image": [Image.fromarray(ask.pixels)]},
        "multi_modal_uuids": {"image": [ask.image_key]},
    }
    (inputs,) = await engine.renderer.render_cmpl_async([parse_model_prompt(engine.model_config, prompt)])
    return inputs
