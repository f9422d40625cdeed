"""The reference simulator: a model of the library and of drivers, written from the reference alone."""
