"""The outside of the data service: exchanges, files, the table store, the frame cache."""
