"""Reading text: two engines, the order of what they read, and pages that lie on a side."""
