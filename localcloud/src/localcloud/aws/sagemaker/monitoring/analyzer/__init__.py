"""What stands in for AWS's prebuilt analyzer: a program that jobs run, with the standard library alone."""
