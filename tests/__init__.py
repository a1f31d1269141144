"""Tests that cross folders; unit tests sit beside their code."""
