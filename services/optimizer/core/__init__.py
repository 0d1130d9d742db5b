"""The optimizer's pure half: spaces, searches, studies and the loop that runs them."""
