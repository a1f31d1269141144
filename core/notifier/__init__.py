"""Alerts people to urgent events.

``notices`` gives the text of an event, if it has one. Each ``NoticeChannel`` (a Telegram chat, a
webhook, the log) has a ``Delivery`` of its own, which hands it every notice at least once and in
order: one that is away holds up no other.
"""
