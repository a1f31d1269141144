"""Tests of what makes a process a venue."""
