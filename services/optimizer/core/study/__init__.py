"""The life of a study: its loop, its owner, its trials on their way to the store."""
