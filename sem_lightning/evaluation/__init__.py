"""Evaluation of classifiers: metrics with intervals, reports and figures."""
