"""Comparisons between sessions, lesions and subjects, one file each."""
