"""Decides on signals: each one gets an intent, or the checks that block it.

``decider.decide`` is a pure function of a signal, facts and rules; ``stages`` has one module for
each of its stages. ``FactCollector`` asks the venues for the facts, before the transaction in which
``SignalHandler`` stores the decision together with the position in the stream of signals.
``OutcomeObserver`` stores the outcome of each entry when recorded bars show it.
"""
