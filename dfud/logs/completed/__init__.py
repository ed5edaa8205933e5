"""The completed table: the shards of the producers, their consolidation, and the index of what they hold."""
