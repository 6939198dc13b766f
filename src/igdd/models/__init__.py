"""Kinetic and release models, one file each."""
