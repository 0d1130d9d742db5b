"""`assay`: a gRPC client of the three services for people and scripts."""
