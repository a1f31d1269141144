"""Runs strategies: final bars in, signals out.

``bar_feed`` gives each bar of a series once and in order, ``strategy_runner`` hands it to a
strategy and stores what follows in one transaction, ``fills`` keeps the positions of the
strategies; ``service`` is the gRPC service Detector.
"""
