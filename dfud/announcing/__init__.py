"""What an upload sends of itself to topics of their own: heartbeats, and lines of its log."""
