"""The only place that builds objects: start → consume → drain → stop."""
