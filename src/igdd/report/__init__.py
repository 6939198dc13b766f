"""Report: figures, HTML and PDF, from Results alone."""
