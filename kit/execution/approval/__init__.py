"""Approvals of operations: their signed text, the keys, and the verifier."""
