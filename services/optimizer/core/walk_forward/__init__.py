"""Walk-forward: windows, what they chose, and what that was worth on bars they did not see."""
