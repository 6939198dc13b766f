"""The virtual trial, with its truth."""
