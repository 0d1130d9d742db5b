"""Between the contract's messages and plain Python. Requests are checked here, all at once.

What is wrong with a request is told by the path of the field; what a field may hold is `core`'s
word.
"""
