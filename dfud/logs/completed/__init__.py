"""The completed table: producers' shards, their consolidation, and the index of what they hold."""
