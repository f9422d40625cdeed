"""Builders of traces for tests and for the sample folder; they know neither the specs nor the monitor."""
