"""Between the contract's messages and plain Python. Requests are checked here, all at once.

Nothing is computed: what a parameter may be is `core`'s word, what the caller wrote wrong is told
here by the path of the field.
"""
