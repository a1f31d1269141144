"""Tests of the gateway; those of the door run the real Envoy."""
