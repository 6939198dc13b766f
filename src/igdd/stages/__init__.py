"""The stages between calibrate and compare, one file each."""
