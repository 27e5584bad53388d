"""A decoder process that never gets ready."""

raise SystemExit(5)
