"""Files to types and back: no science."""
