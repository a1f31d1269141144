"""Keeps the log of all events: a Merkle tree with signed and anchored roots.

``call_collector`` makes events of the calls that have changed something. ``log_writer`` takes the
events in, ``checkpointer`` signs the root, ``anchors`` keeps what was signed outside the database.
``verification`` compares everything with everything, ``proofs`` proves single events, and
``chains`` tells why something has happened; ``service`` is the gRPC service Audit.
"""
