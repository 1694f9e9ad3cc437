"""What was measured of this project's speed, and the programs that measure it."""
