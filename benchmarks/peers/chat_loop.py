"""`python -m benchmarks.peers.chat_loop TASK ENGINE`: `vllm.LLM.chat` on every poll's batch."""

import asyncio
import json
import sys
from collections.abc import Sequence

from vllm import LLM, SamplingParams

from benchmarks.peers.first_try import Chat, work
from benchmarks.peers.measured import parse_task

ONE_TOKEN = SamplingParams(max_tokens=1, temperature=0.0, logprobs=20)

if __name__ == "__main__":
    model = LLM(**json.loads(sys.argv[2]))

    async def ask(chats: Sequence[Chat]) -> list[str]:
        """Keep the event loop waiting, as the example in vLLM's documentation would."""
        return [output.outputs[0].text for output in model.chat(list(chats), ONE_TOKEN, use_tqdm=False)]

    asyncio.run(work(parse_task(), ask))
