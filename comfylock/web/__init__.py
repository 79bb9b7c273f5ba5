"""The network: the only folder that imports an HTTP client."""
