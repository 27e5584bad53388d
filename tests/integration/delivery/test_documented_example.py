"""The program that docs/delivery.md shows does what the page says."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from testing.kafka import KafkaBroker
from testing.topics import committed_reader, create_topics, publish

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.docker


async def test_every_order_becomes_one_invoice_or_a_dead_letter(kafka: KafkaBroker) -> None:
    page = (ROOT / "docs/delivery.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert "localhost:9092" in program
    await create_topics(kafka.bootstrap_servers, ["orders", "invoices", "orders.dead"], partitions=3)
    orders = [(b"%d" % n, json.dumps({"amount": n} if n % 10 else {}).encode(), ()) for n in range(100)]
    await publish(kafka.bootstrap_servers, "orders", orders)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program.replace("localhost:9092", kafka.bootstrap_servers),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    async with committed_reader(kafka.bootstrap_servers, ["invoices", "orders.dead"]) as reader:
        await reader.until(100)
        process.terminate()
        assert await process.wait() == 0
        await reader.linger()
    invoices = {int(record.key): json.loads(record.value)["due"] for record in reader.of("invoices")}
    assert invoices == {n: n for n in range(100) if n % 10}
    letters = reader.of("orders.dead")
    assert {int(record.key) for record in letters} == set(range(0, 100, 10))
    assert {dict(record.headers)["modstream-reason"] for record in letters} == {b"order.no_amount"}
    assert len(reader.records) == 100
