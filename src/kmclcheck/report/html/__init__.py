"""The page of the ``html`` report: template, style, script, and the data that they show."""
