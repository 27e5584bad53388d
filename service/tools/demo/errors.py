"""What can go wrong in the demo; none of it happens to the service."""


class DemoFailedError(Exception):
    """The demo cannot go on; the text says why and what to do."""
