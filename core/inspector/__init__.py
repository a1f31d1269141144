"""Checks what strategies and persons want to do, approves it, and hands the orders to the venues.

``decisions`` and ``manual`` take what is wanted, ``verdicts`` compares it with the policy, and
``submissions`` keeps what was approved, in the transaction of its verdict. ``sender`` hands it to
the process of the venue; ``closer`` closes what a strategy holds, and ``order_ends`` asks how
orders have ended. ``events`` follows the states of the orders; ``service`` is the gRPC service
Inspector.
"""
