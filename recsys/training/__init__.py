"""From the stored stream to a fitted model: training set, data checks, weights, fit."""
