"""Arrays in, arrays out: no units, no files."""

COMPILER = "igdd.compiler"  # the logger that says when kernels are being compiled
