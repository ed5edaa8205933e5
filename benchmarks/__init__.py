"""How fast dfud is, beside its peers and beside the floor that librdkafka sets: `scripts/bench` runs it.

A *question* (`benchmarks.questions`) is one thing to be known; it has *contestants*, commands that do the same
work. All contestants of a question run in turn, round after round, on one Kafka, each from its start to its exit.
"""
