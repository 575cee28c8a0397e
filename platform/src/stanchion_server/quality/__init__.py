"""Scores of recorded calls: which scorers look at a call, when, and what they said."""
