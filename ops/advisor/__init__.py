"""Decisions and calibration on the command line."""
