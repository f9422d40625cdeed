"""One module per report format; every module here is imported by the registry."""
