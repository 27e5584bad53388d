"""`python -m benchmarks.peers.openai_gather TASK BASE_URL`: OpenAI's client, every poll's batch gathered."""

import asyncio
import sys
from collections.abc import Sequence

from openai import AsyncOpenAI

from benchmarks.peers.first_try import Chat, work
from benchmarks.peers.measured import parse_task

MODEL = "tiny"


async def main(base_url: str) -> None:
    """Ask a server."""
    client = AsyncOpenAI(base_url=base_url, api_key="none")

    async def one(chat: Chat) -> str:
        answer = await client.chat.completions.create(
            model=MODEL, messages=chat, max_tokens=1, temperature=0.0, logprobs=True, top_logprobs=20
        )
        return answer.choices[0].message.content or ""

    async def ask(chats: Sequence[Chat]) -> list[str]:
        return await asyncio.gather(*(one(chat) for chat in chats))

    async with client:
        await work(parse_task(), ask)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[2]))
