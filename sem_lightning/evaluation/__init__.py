"""What a classifier is worth: metrics with intervals, reports and figures."""
