"""Reads of scores and jobs; the project comes first, and no statement goes without it."""
