"""Imaging modalities, one file each: stored samples to calibrated images."""
