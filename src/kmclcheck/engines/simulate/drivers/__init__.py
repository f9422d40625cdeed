"""Drivers: small programs over the simulated library, one device each."""
