"""What receivers have not received yet, and when the retention of the topic takes it."""
