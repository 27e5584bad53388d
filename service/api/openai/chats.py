"""Chats with the engine's language model: a bounded number at a time, by tenant in turn, within a time limit."""

import asyncio
import math
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

from service.api.judging.places import Places
from service.api.openai.chat_errors import ChatModelUnknownError, ChatsBusyError, ChatTimeoutError, NoLanguageModelError
from service.api.openai.chat_images import ChatImages
from service.api.openai.chat_reading import Chat
from service.core.fair_queue import FairTurns
from service.core.spans import waiting
from service.inference.chat import ChatModel, ChatRequest, ChatServer
from service.settings.api import ApiSettings
from service.telemetry import names

_NEXT = 0.25
"""Chats whose images are fetched and held while all turns are taken, in turns: they are ready when a turn ends."""

_ANY = "*"


class Chats:
    """The chats of all callers.

    A bounded number is in the engine. Long answers take its memory and steps for as long as hundreds of images, and it
    takes what came first, so more chats would hold the images up.
    """

    def __init__(
        self,
        server: ChatServer | None,
        images: ChatImages,
        settings: ApiSettings,
        *,
        engine: str,
        turns: int,
        may_use: Callable[[str, str], bool],
    ) -> None:
        """`server` is None for an engine without a language model, which `engine` names; `turns` are in the engine.

        `may_use` returns whether an adapter, the first argument, is for a tenant's chats.
        """
        self._server = server
        self._images = images
        self._settings = settings
        self._engine = engine
        self._may_use = may_use
        self._prepared = Places(turns + math.ceil(_NEXT * turns), max_waiting=settings.max_waiting, busy=ChatsBusyError)
        self._turns = FairTurns(turns)

    def check(self) -> None:
        """Raise `NoLanguageModelError` for an engine without a language model."""
        self._running()

    async def models(self, *, tenant: str) -> list[ChatModel]:
        """Return the model and a tenant's adapters; raises `NoLanguageModelError`."""
        async with self._in_time():
            return await self._models_of(self._running(), tenant)

    async def complete(self, chat: Chat, *, tenant: str) -> Mapping[str, Any]:
        """Return the answer to a chat; raises `ApiError`, `ChatImageError` or an error of the engine."""
        server = self._running()
        async with self._in_time(), self._prepared.place(tenant):
            request = await self._request(server, chat, tenant)
            async with self._turn(tenant):
                return await server.complete(request)

    async def stream(self, chat: Chat, *, tenant: str) -> AsyncGenerator[bytes, None]:
        """Yield the events of the answer; errors as for `complete`, before the first event or after some.

        The model's turn ends with the model's answer: a caller who reads slowly holds up no other one.
        """
        events: asyncio.Queue[bytes | None] = asyncio.Queue()
        writing = asyncio.create_task(self._write(events, chat, tenant), name="chat.stream")
        try:
            while (event := await events.get()) is not None:
                yield event
            await writing
        finally:
            writing.cancel()
            await asyncio.wait([writing])

    async def _write(self, events: "asyncio.Queue[bytes | None]", chat: Chat, tenant: str) -> None:
        """Write the events to a queue, which is as long as an answer may be, and None at the end."""
        try:
            async with AsyncExitStack() as held:
                async with self._in_time():
                    answer = await self._begun(held, chat, tenant)
                while (event := await self._next(answer)) is not None:
                    events.put_nowait(event)
        finally:
            events.put_nowait(None)

    async def _begun(self, held: AsyncExitStack, chat: Chat, tenant: str) -> AsyncGenerator[bytes, None]:
        server = self._running()
        await held.enter_async_context(self._prepared.place(tenant))
        request = await self._request(server, chat, tenant)
        await held.enter_async_context(self._turn(tenant))
        return await held.enter_async_context(aclosing(server.stream(request)))

    async def _next(self, answer: AsyncGenerator[bytes, None]) -> bytes | None:
        async with self._in_time():
            return await anext(answer, None)

    async def _request(self, server: ChatServer, chat: Chat, tenant: str) -> ChatRequest:
        """Return a chat with its images and its adapter."""
        adapter = await self._adapter(server, chat.body.model, tenant)
        spec = server.image_spec(len(chat.images))
        pixels = await self._images.pixels(chat.images, spec, tenant=tenant)
        usage = chat.body.stream_options is not None and bool(chat.body.stream_options.include_usage)
        return ChatRequest(
            request_id=uuid.uuid4().hex,
            messages=chat.messages(pixels),
            options=chat.options,
            max_tokens=self._settings.chat.max_tokens,
            tenant=tenant,
            adapter=adapter,
            include_usage=usage,
        )

    async def _models_of(self, server: ChatServer, tenant: str) -> list[ChatModel]:
        models = await server.models()
        return [each for each in models if each.parent is None or self._may_use(each.name, tenant)]

    async def _adapter(self, server: ChatServer, name: str | None, tenant: str) -> str | None:
        """Return the adapter that a model's name stands for, None for the model itself."""
        if name is None or name in self._settings.chat.aliases:
            return None
        found = next((each for each in await self._models_of(server, tenant) if each.name == name), None)
        if found is None and _ANY not in self._settings.chat.aliases:
            raise ChatModelUnknownError(name=name, param="model")
        return found.name if found is not None and found.parent is not None else None

    def _running(self) -> ChatServer:
        if self._server is None:
            raise NoLanguageModelError(engine=self._engine)
        return self._server

    @asynccontextmanager
    async def _turn(self, tenant: str) -> AsyncIterator[None]:
        if not self._turns.try_acquire("api"):
            with waiting(names.WAIT_ENGINE):
                await self._turns.acquire(tenant, "api")
        try:
            yield
        finally:
            self._turns.release("api")

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Bound the block by `api.timeout_s`; raises `ChatTimeoutError`."""
        limit_s = self._settings.timeout_s
        deadline = asyncio.timeout(limit_s)
        try:
            async with deadline:
                yield
        except TimeoutError:
            if not deadline.expired():
                raise
            raise ChatTimeoutError(limit_s=limit_s) from None
