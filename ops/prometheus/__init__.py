"""Prometheus: scrape targets, alerts and dashboard."""
