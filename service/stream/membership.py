"""Whether this process still belongs to its group, as the group's coordinator sees it."""

from aiokafka import AIOKafkaConsumer

from service.stream.errors import CommitUnknownError


class Membership:
    """Asks the coordinator, because a process that was frozen believes what was true before."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def confirm(self) -> bool:
        """Tell whether the assignment of the current generation holds; raises `CommitUnknownError` without an answer.

        aiokafka has no public call for it: its heartbeat is the one request that names generation and member.
        """
        coordinator = self._consumer._coordinator
        if await coordinator._do_heartbeat():
            return True
        if coordinator.generation < 0:  # the coordinator did not know us, and aiokafka will join anew
            return False
        raise CommitUnknownError("the group's coordinator does not answer")
