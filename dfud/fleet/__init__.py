"""Every upload of a site, from what is on topics: heartbeats and receipts."""
