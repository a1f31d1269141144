"""Traces for an OpenTelemetry collector, if ``telemetry.otlp_endpoint`` names one.

A call that is served is a span, below the gateway's; what it does in PostgreSQL and Redis are spans
below it. Calls to other processes pass the trace on. Without a collector nothing is measured, and
nothing of OpenTelemetry is imported.
"""
