"""Analyses of the loss landscape that go beyond the paper: matching of units, similarity of layers, soups, criticality."""
