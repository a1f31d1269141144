"""The log of all events: exported, verified without a server, and shown."""
