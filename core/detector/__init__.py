"""Runs strategies: final bars in, signals out.

``bar_feed`` gives each bar of a series once and in order, ``strategy_runner`` hands it to a
strategy and stores what follows in one transaction, with what it saw besides bars
(``run_store``); ``positions`` keeps what the strategies hold, as the inspector tells it.
The code of strategies runs in other processes (``workers``); ``evaluation`` is what is asked of it.
``strategy_manager`` starts and stops strategies, as persons want it (``assignments``), and
``service`` is the gRPC service Detector.
"""
