"""Brings journal and venue together: at the start, after interruptions, and at intervals."""
