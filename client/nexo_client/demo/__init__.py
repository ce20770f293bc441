"""`nexoctl demo`: the real parts at work in a temporary directory. See `nexo_client.demo.story`."""
