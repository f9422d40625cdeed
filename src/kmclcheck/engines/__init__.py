"""What reads the IR: the monitor, and the replay of its findings."""
