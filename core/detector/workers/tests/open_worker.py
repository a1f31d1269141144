"""A process with strategies on a kernel without Landlock."""

from core.detector.workers import landlock, worker_main

NO_LANDLOCK = "this kernel has no Landlock: Function not implemented"

if __name__ == "__main__":
    landlock.allow_reading = lambda paths: NO_LANDLOCK
    worker_main.main()
