"""The local supervisor behind ``./venuemesh up``: starts every process, restarts what dies."""
