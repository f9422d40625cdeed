"""The command line: exit codes, colour, progress and settings live only here."""
