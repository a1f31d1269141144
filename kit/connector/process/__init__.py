"""The process of one venue: its services, tasks and accounts, put together in app.py."""
