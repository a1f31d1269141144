"""Runs the code of strategies in processes that have nothing: no secret, no file, no network.

``pool`` gives strategies to processes, ``worker_process`` starts one, asks it and ends it;
``messages`` are what they send to each other. ``worker_main`` is the program of such a process: it
gives up what it may (``restrictions``) and calls the code (``hosted_instance``).
"""
