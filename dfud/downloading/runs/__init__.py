"""Runs: their files are collected out of sight, and each run gets its place at once, when it is whole."""
