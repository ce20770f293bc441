"""The daemon's own types: plain values and their checks. No side effects."""
