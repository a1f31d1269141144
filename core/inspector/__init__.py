"""The order authority: checks orders of strategies and persons, approves them, and sends them.

``decision_handler`` and ``manual_orders`` receive requests, ``verdicts`` compares them with the
policy, and ``submissions`` stores approved orders in the transaction of their verdict.
``submission_sender`` sends them to the venue's process. ``event_handler`` follows the states of
orders, and ``order_reconciler`` queries the states that no event reports. ``position_opener`` and
``position_closer`` open and close positions; ``stop_monitor`` finds positions without a stop.
``heartbeat_sender`` keeps the entries of accounts alive.
``account_reconciler``
compares venue, ledger and inspector, and makes an account stand down on which they differ.
``service`` is the gRPC service Inspector.
"""
