"""What a study is asked to do, and everything that can be wrong with that."""
