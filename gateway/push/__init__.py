"""One websocket for everything that is live: the path /ws of the gateway.

A client subscribes to any mix of channels. Each subscription is a topic: a channel with its venue,
instrument and delivery. The first subscriber of a topic opens its stream at the process that has
it (``feeds``); all further ones share that stream, and each message is encoded once for all of
them.

Protocol: docs/WEBSOCKET.md.
"""
