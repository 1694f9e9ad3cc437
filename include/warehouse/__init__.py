"""The feature stage: a month of a source goes in, a checked snapshot of features and labels comes out."""
