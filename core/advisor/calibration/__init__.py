"""Calibration: turns a conviction into the probability that a decision wins, for each regime.

``maps`` has the maps, ``fitting`` and ``online`` fit them, ``selection`` chooses one by its loss
on later outcomes, ``drift`` finds that a map no longer fits, ``report`` measures it, and
``calibrator`` applies all of them to a sequence of outcomes. Nothing here has a clock, a random
number or a store: the same outcomes give the same maps.
"""
