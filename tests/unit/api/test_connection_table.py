"""The connection that is without a request for longest makes room."""

import asyncio

from service.api.connections.connection_table import ConnectionTable


class Connection:
    def __init__(self) -> None:
        self.has_given_way = False

    def give_way(self) -> None:
        self.has_given_way = True


def opened(table: ConnectionTable, number: int) -> list[Connection]:
    connections = [Connection() for _ in range(number)]
    for connection in connections:
        table.opened(connection)
    return connections


async def test_there_is_room_below_the_limit() -> None:
    table = ConnectionTable(2)
    (connection,) = opened(table, 1)
    await table.room()
    assert not connection.has_given_way


async def test_the_order_is_that_in_which_connections_began_to_wait() -> None:
    table = ConnectionTable(3)
    first, second, third = opened(table, 3)
    table.works(second)
    table.waits(first)
    await table.room()
    assert [connection.has_given_way for connection in (first, second, third)] == [False, False, True]
    assert len(table) == 2


async def test_a_client_waits_until_a_connection_is_done_with_its_request() -> None:
    table = ConnectionTable(1)
    (connection,) = opened(table, 1)
    table.works(connection)
    waiting = asyncio.create_task(table.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    table.waits(connection)
    await waiting
    assert connection.has_given_way


async def test_a_connection_that_gave_way_does_not_come_back() -> None:
    table = ConnectionTable(1)
    (connection,) = opened(table, 1)
    await table.room()
    table.waits(connection)
    table.closed(connection)
    assert len(table) == 0
    assert not table.end_oldest()
