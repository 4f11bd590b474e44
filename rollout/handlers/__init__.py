"""What the Functions app does with an event. Pure core in `plan`; `handle` carries it out once per event."""
