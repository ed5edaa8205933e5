"""How fast dfud is, compared with its peers and with a C program on librdkafka: `scripts/bench` runs it.

A *benchmark* (one module each in `benchmarks.suite`) measures one aspect. It compares *candidates*, commands that
do the same work: all candidates of a benchmark run one after another, round after round, on one Kafka, and each is
measured from its start to its exit.
"""
