"""The rungs of the ladder of evidence: each knows one way to tell which file is meant."""
