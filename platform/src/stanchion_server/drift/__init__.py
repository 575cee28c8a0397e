"""Drift: whether the calls of now are still like the calls of a reference, and whether a number has left its band."""
