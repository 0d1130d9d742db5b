"""The three services of Assay and what they share about being a service."""
