"""The long-running service: an inbox of exports, and HTTP for metrics and health."""
