"""Runs strategies: final bars in, signals out.

``bar_feed`` gives each bar of a series once and in order. ``strategy_runner`` passes it to a
strategy and stores state and signals in one transaction, with the strategy's other inputs
(``run_store``). ``positions`` stores positions of strategies from the inspector's events. The code
of strategies runs in other processes (``workers``), behind the interfaces in ``evaluation``.
``strategy_manager`` starts and stops strategies on request (``run_requests``), and ``service`` is
the gRPC service Detector. Several detectors divide the strategies by leases (``instance_shares``)
and ask each other about them (``peer_detectors``).
"""
