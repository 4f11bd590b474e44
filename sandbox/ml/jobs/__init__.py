"""Jobs: commands that run as processes of this machine, seen through ARM and the run history."""
